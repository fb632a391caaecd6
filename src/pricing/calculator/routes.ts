import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime } from "../../http/schemas.ts";
import { fieldError } from "../../platform/errors.ts";
import { groupName } from "../multipliers/schema.ts";
import type { Pricing } from "../pricing.ts";
import { calculate } from "./calculate.ts";

const count = z.number().int().min(0).max(2_147_483_647).default(0);
const item = z.strictObject({
  model: z.string().min(1).max(100).meta({ description: "Name or alias" }),
  input_tokens: count,
  cached_input_tokens: count,
  cache_write_tokens: count,
  cache_write_1h_tokens: count,
  output_tokens: count,
  reasoning_tokens: count,
  requests: z.number().int().min(0).max(1_000_000).default(1),
  images: count,
  seconds: count,
  characters: count,
  web_searches: count,
  calls: z.number().int().min(1).max(1_000_000_000).default(1).meta({ description: "How often such a call is made" }),
});
const body = z.strictObject({
  items: z.array(item).min(1).max(100),
  tier: z.string().max(32).default("free").meta({ description: "Whose calls they are" }),
  key_group: groupName.optional(),
  at: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .optional()
    .meta({ description: "When; now unless told. Prices and multipliers by time of day are those of then" }),
});

const line = z.object({
  what: z.string(),
  count: z.number().int(),
  price: creditsText,
  per: z.number().int(),
  points: z.string().meta({ description: "Exact, before rounding" }),
  text: z.string(),
});
const view = z.object({
  items: z.array(
    z.object({
      model: z.string(),
      price_version: z.number().int(),
      price_multiplier: z.string(),
      lines: z.array(line),
      sum: z.string().meta({ description: "Of the lines, exact" }),
      points_per_call: creditsText.meta({ description: "Multiplied and rounded up once" }),
      calls: z.number().int(),
      points: creditsText,
      text: z.string(),
    }),
  ),
  total: creditsText,
  tier: z.string(),
  key_group: z.string().nullable(),
  at: isoTime,
});

/** The operators' points calculator. */
export function calculatorRoutes(deps: {
  pricing: Pick<Pricing, "model" | "versionAt" | "cost">;
  tierExists: (name: string) => Promise<boolean>;
}): Route[] {
  return [
    route({
      method: "post",
      path: "/api/admin/points/calculate",
      summary: "What any mix of calls costs, with the arithmetic",
      description: "Computed by the code that charges. Changes nothing.",
      tag: "Models and prices",
      access: "operator",
      body,
      responses: { 200: view },
      handler: async ({ body: { items, tier, key_group, at = new Date() } }) => {
        if (!(await deps.tierExists(tier))) throw fieldError("tier", "is not a tier");
        const asked = items.map((one) => ({
          model: one.model,
          tokens: {
            input: one.input_tokens,
            cachedInput: one.cached_input_tokens,
            cacheWrite: one.cache_write_tokens,
            cacheWriteLong: one.cache_write_1h_tokens,
            output: one.output_tokens,
            reasoning: one.reasoning_tokens,
          },
          units: {
            requests: one.requests,
            images: one.images,
            seconds: one.seconds,
            characters: one.characters,
            searches: one.web_searches,
          },
          calls: one.calls,
        }));
        return ok(await calculate(deps.pricing, asked, { tier, keyGroup: key_group ?? null, at }));
      },
    }),
  ];
}
