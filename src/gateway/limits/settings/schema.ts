import { z } from "zod";
import { isoTime, pageQuery, uuid } from "../../../http/schemas.ts";

const LIMIT_MAX = 1_000_000_000;
const count = z.number().int().min(1).max(LIMIT_MAX);
const scope = z.enum(["global", "ip", "model"]);
const mode = z.enum(["enforce", "shadow"]);

const rules = z
  .strictObject({
    requests_per_minute: count.optional(),
    requests_per_second: count.optional(),
    tokens_per_minute: count.optional(),
    max_parallel: count.optional(),
  })
  .meta({ description: "What is left out is not limited" });

const weight = z.number().int().min(0).max(100_000).nullable().meta({
  description: "What a token of the model counts in every limit on tokens, in percent; null for 100, or what is set for every model",
});

export const limitInput = z
  .strictObject({
    scope: scope.meta({ description: "All calls together, each address (of IPv6 each /64), or models" }),
    model: z
      .string()
      .min(1)
      .max(100)
      .nullable()
      .default(null)
      .meta({ description: "Name or alias, for the scope `model`; null for every model, each counted for itself" }),
    mode: mode.default("enforce").meta({ description: "`shadow` refuses nothing and tells what it would have refused" }),
    limits: rules.default({}),
    token_weight_percent: weight.default(null),
  })
  .refine(({ scope: of, model }) => of === "model" || model === null, { path: ["model"], message: "is for the scope model alone" })
  .refine(({ scope: of, mode: how, token_weight_percent: percent }) => percent === null || (of === "model" && how === "enforce"), {
    path: ["token_weight_percent"],
    message: "is for models that are not in shadow mode",
  })
  .refine(({ limits, token_weight_percent: percent }) => percent !== null || Object.values(limits).some((limit) => limit !== undefined), {
    path: ["limits"],
    message: "must set at least one limit",
  });

export const limitParams = z.strictObject({ id: uuid });
export const limitsQuery = z.strictObject({ scope: scope.optional(), mode: mode.optional(), ...pageQuery });

export const limitView = z.object({
  id: z.string(),
  scope,
  model: z.string().nullable(),
  mode,
  limits: rules,
  token_weight_percent: z.number().int().nullable(),
  created_at: isoTime,
  updated_at: isoTime,
});
