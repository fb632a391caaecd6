export { createTiers, type Limits, type Tiers } from "./tiers.ts";
