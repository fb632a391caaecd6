export { createModelAdmin } from "./admin.ts";
export { keepSafetyFactors, type SafetyFactor } from "./estimates.ts";
export { multiplierFor } from "./multipliers/multiplier.ts";
export { groupName } from "./multipliers/schema.ts";
export {
  affordableOutput,
  cost,
  DEFAULT_SAFETY_PERCENT,
  estimate,
  formatMultiplier,
  ONE,
  type Prices,
  type TokenClasses,
  type Units,
} from "./price.ts";
export { createPricing, type PricedModel, type Pricing } from "./pricing.ts";
export type { PriceVersion } from "./repository.ts";
export { pricingRoutes } from "./routes.ts";
