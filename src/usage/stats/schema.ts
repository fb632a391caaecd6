import { z } from "zod";
import { creditsText, isoTime, localMoment, timeZone, uuid } from "../../http/schemas.ts";
import { ADMIN_STAT_GROUPS, STAT_GROUPS } from "./sums.ts";

const filters = {
  from: localMoment.optional().meta({ description: "The last 30 days when left out, the last 24 hours by the hour" }),
  to: localMoment.optional().meta({ description: "Not included; until now when left out" }),
  time_zone: timeZone.optional().meta({ description: "Where days and hours begin; the caller's own when left out" }),
  model: z.string().min(1).max(200).optional(),
  key: uuid.optional().meta({ description: "Id of an API key" }),
};

export const statsQuery = z.strictObject({ ...filters, group_by: z.enum(STAT_GROUPS).default("day") });
export const adminStatsQuery = z.strictObject({ ...filters, user: uuid.optional(), group_by: z.enum(ADMIN_STAT_GROUPS).default("day") });

const count = z.number().int();
export const sums = {
  requests: count,
  failed: count.meta({ description: "Among the requests; they cost nothing" }),
  input_tokens: count.meta({ description: "All input, cached or not" }),
  cached_input_tokens: count,
  cache_write_tokens: count,
  output_tokens: count.meta({ description: "All output, reasoning included" }),
  reasoning_tokens: count,
  cost: creditsText,
  average_duration_ms: count.nullable(),
};

export const statsView = z.object({
  group_by: z.enum(ADMIN_STAT_GROUPS),
  time_zone: z.string(),
  from: isoTime,
  to: isoTime,
  items: z.array(
    z.object({
      key: z.string().nullable().meta({ description: "A date; the beginning of an hour (UTC); a model; an id. Null: calls without one" }),
      name: z.string().nullable(),
      ...sums,
    }),
  ),
  groups: count.meta({ description: "How many groups there are; of models, keys and users at most 1000 are shown, the dearest ones" }),
  totals: z.object(sums),
});
