import { z } from "zod";
import { creditsInput, creditsText, isoTime, pageOf, pageQuery, timeZone, uuid } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import { formatDecimal, parseDecimal } from "../../platform/decimal.ts";
import { limitsOfAccounts, weights } from "../limitsSchema.ts";
import type { PlanRow } from "./repository.ts";

const name = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "must be a name such as pro");
const text = (most: number) => z.string().trim().max(most);
const resetDay = z.number().int().min(1).max(31).meta({ description: "Day of the month; in a shorter month its last day" });
const takesEffect = z.enum(["now", "next_period"]);
const FEN_MAX = 100_000_000n;
const price = z
  .string()
  .max(16)
  .refine((value) => (parseDecimal(value, 2) ?? FEN_MAX + 1n) <= FEN_MAX, 'must be yuan with at most 2 decimals, such as "50.00"')
  .transform((value) => parseDecimal(value, 2)!)
  .meta({ description: "Of a period, in yuan", examples: ["50.00"] });
const allowance = creditsInput.refine((micro) => micro <= 10n ** 15n, "must not be more than 1000000000");

const fields = {
  display_name: text(100).min(1),
  description: text(2_000),
  price,
  allowance: allowance.meta({ description: "Credits granted with each period, which end with it", examples: ["100"] }),
  limits: limitsOfAccounts.meta({ description: "Limits and quotas; they go before those of the tier" }),
  weights,
  reset_day: resetDay,
  time_zone: timeZone.meta({ description: "With the reset day that of new subscribers; of the standard plan's, from their next period" }),
  change_takes_effect: takesEffect.meta({
    description: "Whether a change of the plan, or to the plan, counts `now`, pro rata for the present period, or from the `next_period`",
  }),
  position: z.number().int().min(0).max(10_000),
};
const reason = text(500).min(1).optional();

export const newPlan = z.strictObject({
  name,
  ...fields,
  description: fields.description.default(""),
  price: fields.price.default(0n),
  allowance: fields.allowance.default(0n),
  limits: fields.limits.default({}),
  weights: fields.weights.default({}),
  reset_day: fields.reset_day.default(1),
  time_zone: fields.time_zone.default("Asia/Shanghai"),
  change_takes_effect: fields.change_takes_effect.default("next_period"),
  position: fields.position.default(0),
  reason,
});
export type NewPlan = z.output<typeof newPlan>;

export const planChange = z
  .strictObject({
    ...(Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.optional()])) as {
      [K in keyof typeof fields]: z.ZodOptional<(typeof fields)[K]>;
    }),
    status: z.enum(["active", "retired"]).optional(),
    standard: z
      .literal(true)
      .optional()
      .meta({ description: "Makes it the plan of everybody without one of his own, from when `change_takes_effect` says" }),
    reason,
  })
  .refine((body) => Object.keys(body).some((key) => key !== "reason"), {
    path: ["display_name"],
    message: "send at least one field to change",
  });
export type PlanChange = z.output<typeof planChange>;

export const planParams = z.strictObject({ name });
export const listQuery = z.strictObject(pageQuery);
export const userParams = z.strictObject({ id: uuid });

export const planView = z.object({
  name: z.string(),
  display_name: z.string(),
  description: z.string(),
  price: z.string(),
  currency: z.literal("CNY"),
  allowance: creditsText,
  limits: z.looseObject({}),
  weights: z.record(z.string(), z.number()),
  reset_day: z.number().int(),
  time_zone: z.string(),
  change_takes_effect: takesEffect,
  status: z.enum(["active", "retired"]),
  standard: z.boolean(),
  position: z.number().int(),
  version: z.number().int(),
  author_id: z.string().nullable(),
  reason: z.string().nullable(),
  created_at: isoTime,
});
export const planPage = pageOf(planView);

/** A version of a plan as answers show it. */
export const presentPlan = (row: PlanRow) => ({
  name: row.name,
  display_name: row.display_name,
  description: row.description,
  price: formatDecimal(row.price_fen, 2, 2),
  currency: "CNY" as const,
  allowance: formatCredits(row.allowance),
  limits: row.limits,
  weights: row.weights,
  reset_day: row.reset_day,
  time_zone: row.time_zone,
  change_takes_effect: row.change_takes_effect,
  status: row.status,
  standard: row.standard,
  position: row.position,
  version: row.version,
  author_id: row.author_id,
  reason: row.reason,
  created_at: row.created_at.toISOString(),
});

export const subscribeBody = z.strictObject({
  plan: name,
  reset_day: resetDay.optional(),
  time_zone: timeZone.optional(),
  takes_effect: takesEffect.optional().meta({ description: "As the plan says, unless told" }),
  reason,
});

export const subscriptionView = z.object({
  plan: z.string(),
  reset_day: z.number().int(),
  time_zone: z.string(),
  period: z.object({ starts_at: isoTime, ends_at: isoTime }),
  next: z.object({ plan: z.string(), reset_day: z.number().int(), time_zone: z.string(), from: isoTime }).nullable(),
  limits: z.looseObject({}).meta({ description: "Quotas and limits of the plan in force" }),
  allowance: creditsText,
});

export const periodPage = pageOf(
  z.object({
    starts_at: isoTime,
    ends_at: isoTime,
    plan: z.string(),
    plan_version: z.number().int(),
    granted: creditsText,
    opened_at: isoTime,
    stated_at: isoTime.nullable(),
  }),
);
