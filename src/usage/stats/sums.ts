import type { Queryable } from "../../platform/postgres.ts";
import { COUNTS, USED } from "../second.ts";
import type { Range } from "./range.ts";

/** What calls came to, from the hourly roll-ups where an hour lies whole in one group, from the calls themselves where it does not. */

export const STAT_GROUPS = ["day", "hour", "model", "key"] as const;
export const ADMIN_STAT_GROUPS = [...STAT_GROUPS, "user"] as const;
export type StatGroup = (typeof ADMIN_STAT_GROUPS)[number];

export interface SumsFilter {
  user?: string | undefined;
  model?: string | undefined;
  key?: string | undefined;
}

/** One group. Micro-credits, whole tokens, milliseconds. */
export interface Sums {
  /** A date, an instant (ISO), a model, an id of a key or user; null for calls without one. */
  key: string | null;
  requests: bigint;
  failed: bigint;
  input_tokens: bigint;
  cached_input_tokens: bigint;
  cache_write_tokens: bigint;
  output_tokens: bigint;
  reasoning_tokens: bigint;
  cost: bigint;
  uncharged: bigint;
  duration_ms: bigint;
}

export const SUM_NAMES = [
  "requests",
  "failed",
  "input_tokens",
  "cached_input_tokens",
  "cache_write_tokens",
  "output_tokens",
  "reasoning_tokens",
  "cost",
  "uncharged",
  "duration_ms",
] as const;

/** $1 and $2 are the range, $3 the time zone, $4 to $6 the filter. */
const BUCKETS: Partial<Record<StatGroup, (time: string) => string>> = {
  day: (time) => `to_char(${time} AT TIME ZONE $3, 'YYYY-MM-DD')`,
  hour: (time) => `to_char(date_trunc('hour', ${time}, $3) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`,
};
const COLUMNS: Partial<Record<StatGroup, string>> = { model: "model", key: "key_id::text", user: "user_id::text" };

/** `share` is 1, or 0 for calls whose tokens do not count. */
const counted = (
  share: string,
) => `(input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens) * ${share} AS input_tokens,
  cached_input_tokens * ${share} AS cached_input_tokens, (cache_write_tokens + cache_write_long_tokens) * ${share} AS cache_write_tokens,
  (output_tokens + reasoning_tokens) * ${share} AS output_tokens, reasoning_tokens * ${share} AS reasoning_tokens, cost, uncharged, duration_ms`;
const FILTER =
  "($4::uuid IS NULL OR user_id = $4) AND ($5::text IS NULL OR lower(model) = lower($5)) AND ($6::uuid IS NULL OR key_id = $6)";

function statement(group: StatGroup, filter: SumsFilter): string {
  const bucket = BUCKETS[group] ?? (() => "NULL::text");
  const key = COLUMNS[group];
  // A condition that is always there lets the planner use the index on users.
  const who = filter.user === undefined ? FILTER : `user_id = $4 AND ${FILTER}`;
  return `
    WITH hours AS MATERIALIZED (
      SELECT h AS hour, greatest(h, $1) AS begins, least(h + interval '1 hour', $2) AS ends, ${bucket("h")} AS bucket,
        h >= $1 AND h + interval '1 hour' <= $2
          AND ${bucket("h")} IS NOT DISTINCT FROM ${bucket("(h + interval '1 hour' - interval '1 microsecond')")} AS whole
      FROM generate_series(date_trunc('hour', $1::timestamptz, 'UTC'), $2::timestamptz - interval '1 microsecond', interval '1 hour') AS h
      WHERE $3::text IS NOT NULL
    ), counted AS (
      SELECT ${key ?? "h.bucket"} AS key, u.requests, u.failed, ${counted("1")}
      FROM usage_hourly u JOIN hours h ON h.hour = u.hour AND h.whole
      WHERE u.hour >= date_trunc('hour', $1::timestamptz, 'UTC') AND u.hour < $2 AND ${who}
      UNION ALL
      SELECT ${key ?? bucket("e.created_at")}, 1, (e.status = 'failed')::integer, ${counted(USED)}
      FROM hours h CROSS JOIN LATERAL (
        SELECT * FROM usage_events e WHERE e.created_at >= h.begins AND e.created_at < h.ends AND e.created_at >= $1 AND e.created_at < $2
          AND e.settled_at IS NOT NULL AND ${COUNTS} AND ${who}
        OFFSET 0 -- hour by hour, each by the index
      ) AS e
      WHERE NOT h.whole
    )
    SELECT key, ${SUM_NAMES.map((name) => `sum(${name})::bigint AS ${name}`).join(", ")} FROM counted GROUP BY key
    ORDER BY ${key ? "cost DESC, key" : "key"}`;
}

/**
 * Settled calls that began within a range, by group: the same sums as over the calls themselves. Hours of the clock in `timeZone` that are
 * no hours of UTC (zones of 30 and 45 minutes, the ends of a range) are counted call by call. Times ascend; others begin with the dearest.
 */
export async function sumsBy(db: Queryable, group: StatGroup, range: Range, timeZone: string, filter: SumsFilter): Promise<Sums[]> {
  const values = [range.from, range.to, timeZone, filter.user ?? null, filter.model ?? null, filter.key ?? null];
  const { rows } = await db.query<Sums>(statement(group, filter), values);
  return rows;
}

/** All groups together. */
export function totalOf(groups: readonly Sums[]): Omit<Sums, "key"> {
  const total = Object.fromEntries(SUM_NAMES.map((name) => [name, 0n])) as Record<(typeof SUM_NAMES)[number], bigint>;
  for (const group of groups) for (const name of SUM_NAMES) total[name] += group[name];
  return total;
}
