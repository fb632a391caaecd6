import { z } from "zod";
import { creditsText, exportQuery, isoTime, localMoment, timeZone } from "../../http/schemas.ts";
import { sums } from "../stats/schema.ts";

const count = z.number().int();
const percent = z
  .string()
  .nullable()
  .meta({ description: "With one decimal", examples: ["12.5"] });
const zone = timeZone.optional().meta({ description: "The caller's own when left out" });
const month = z
  .string()
  .regex(/^2\d{3}-(0[1-9]|1[0-2])$/, "must be a month such as 2026-11")
  .optional()
  .meta({ description: "The present one when left out", examples: ["2026-11"] });

export const reportQuery = z.strictObject({ month, time_zone: zone });
export const reportExportQuery = z.strictObject({ ...exportQuery, month, time_zone: zone });
export const zoneQuery = z.strictObject({ time_zone: zone });
export const patternsQuery = z.strictObject({
  from: localMoment.optional().meta({ description: "30 days before the end when left out; at most 32" }),
  to: localMoment.optional(),
  time_zone: zone,
});

const group = z.object({ key: z.string().nullable(), name: z.string().nullable(), ...sums, share_percent: percent });
export const reportView = z.object({
  month: z.string(),
  time_zone: z.string(),
  from: isoTime,
  to: isoTime,
  complete: z.boolean().meta({ description: "False while the month is not over" }),
  totals: z.object(sums),
  previous: z.object({ month: z.string(), ...sums }),
  change: z.object({
    compared_with: z
      .enum(["month", "same_part"])
      .meta({ description: "A month that is not over is compared with as long a part of the one before" }),
    requests: count,
    cost: creditsText,
    difference: creditsText,
    cost_percent: percent,
    requests_percent: percent,
  }),
  by_day: z.array(group),
  by_model: z.array(group),
  by_key: z.array(group),
  dearest: z.array(
    z.object({
      id: z.string(),
      request_id: z.string(),
      model: z.string(),
      key_id: z.string().nullable(),
      input_tokens: count,
      output_tokens: count,
      cost: creditsText,
      status: z.string(),
      created_at: isoTime,
    }),
  ),
  waste: z.object({
    failed: z.object({
      calls: count,
      cost: creditsText,
      seconds: count.meta({ description: "How long they took together" }),
      errors: z.array(z.object({ error_code: z.string().nullable(), calls: count })),
    }),
    cancelled: z.object({ calls: count, cost: creditsText }).meta({ description: "Calls that their client left" }),
    retried: z.object({ calls: count, retries: count }).meta({ description: "Calls that took more than one request to a provider" }),
  }),
});

export const forecastView = z.object({
  month: z.string(),
  time_zone: z.string(),
  as_of: isoTime,
  ends: isoTime,
  spent: creditsText,
  expected: creditsText.meta({ description: "What the whole month is expected to cost" }),
  low: creditsText.nullable().meta({ description: "Four of five months like this one end between low and high; null without a history" }),
  high: creditsText.nullable(),
  confidence: z.enum(["none", "low", "medium", "high"]),
  days_of_history: count,
  method: z.literal("weekday_run_rate"),
});

export const hintsView = z.object({
  from: isoTime,
  to: isoTime,
  items: z.array(
    z.object({
      kind: z.enum(["unused_cache", "cheaper_model", "large_max_tokens", "broken_calls", "expiring_credit"]),
      amount: creditsText.meta({ description: "What could be saved, or kept free, `per` 30 days, call or once" }),
      per: z.enum(["30_days", "call", "once"]),
      model: z.string().nullable(),
      reason: z.string(),
      facts: z.record(z.string(), z.union([z.string(), z.number()])),
    }),
  ),
});

const cell = { requests: count, cost: creditsText };
const weekday = count.min(1).max(7).meta({ description: "1 is Monday" });
export const patternsView = z.object({
  time_zone: z.string(),
  from: isoTime,
  to: isoTime,
  requests: count,
  by_weekday: z.array(z.object({ weekday, ...cell })),
  by_hour: z.array(z.object({ hour: count, ...cell })),
  busiest: z.object({ weekday, hour: count, ...cell }).nullable(),
  average_input_tokens: count.nullable(),
  average_output_tokens: count.nullable(),
  cached_input_percent: percent,
  failed_percent: percent,
});
