import { formatCredits } from "../../platform/credits.ts";
import { fieldError } from "../../platform/errors.ts";
import type { Queryable } from "../../platform/postgres.ts";
import { rangeOf } from "./range.ts";
import { sumsBy, totalOf, type StatGroup, type Sums, type SumsFilter } from "./sums.ts";

export interface StatsQuery extends SumsFilter {
  group_by: StatGroup;
  from?: string | undefined;
  to?: string | undefined;
}

/** So many groups are shown, the dearest ones; the totals are of all. */
const MOST_GROUPS = 1_000;

/** Sums as answers show them. */
export function sumsView(sums: Omit<Sums, "key">) {
  const requests = Number(sums.requests);
  return {
    requests,
    failed: Number(sums.failed),
    input_tokens: Number(sums.input_tokens),
    cached_input_tokens: Number(sums.cached_input_tokens),
    cache_write_tokens: Number(sums.cache_write_tokens),
    output_tokens: Number(sums.output_tokens),
    reasoning_tokens: Number(sums.reasoning_tokens),
    cost: formatCredits(sums.cost),
    average_duration_ms: requests === 0 ? null : Math.round(Number(sums.duration_ms) / requests),
  };
}

const INVALID_VALUE = "22023";

/** Statistics over a range in a time zone. Throws `validation_failed` for a range that cannot be, or a zone that Postgres does not know. */
export async function usageStats(
  db: Queryable,
  query: StatsQuery,
  timeZone: string,
  now: Date,
  nameOf: (key: string) => string | null = () => null,
) {
  const { group_by: group, from, to, ...filter } = query;
  const range = rangeOf({ from, to }, timeZone, now, group === "hour" || group === "day" ? group : "other");
  const groups = await sumsBy(db, group, range, timeZone, filter).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === INVALID_VALUE) throw fieldError("time_zone", "is not known here");
    throw error;
  });
  const timed = group === "day" || group === "hour";
  return {
    group_by: group,
    time_zone: timeZone,
    from: range.from.toISOString(),
    to: range.to.toISOString(),
    items: (timed ? groups : groups.slice(0, MOST_GROUPS)).map((sums) => ({
      key: sums.key,
      name: sums.key === null ? null : (nameOf(sums.key) ?? (group === "model" ? sums.key : null)),
      ...sumsView(sums),
    })),
    groups: groups.length,
    totals: sumsView(totalOf(groups)),
  };
}
