import { formatCredits } from "../../platform/credits.ts";
import { fieldError } from "../../platform/errors.ts";
import type { Queryable } from "../../platform/postgres.ts";
import { periodsAt } from "../../quotas/index.ts";
import { monthBefore, monthRange, type Range } from "../stats/range.ts";
import { sumsView } from "../stats/stats.ts";
import { sumsBy, totalOf, type Sums } from "../stats/sums.ts";
import { dearestCalls, endings, type DearCall, type Ending } from "./calls.ts";

/** A month in figures. */

const DEAREST = 10;
const MOST_ERRORS = 10;

/** Percent with one decimal, rounded half up; null of nothing. */
export function percent(part: bigint, whole: bigint): string | null {
  if (whole === 0n) return null;
  const negative = part < 0n !== whole < 0n;
  const [size, by] = [part < 0n ? -part : part, whole < 0n ? -whole : whole];
  const tenths = (size * 2_000n + by) / (by * 2n);
  return `${negative && tenths > 0n ? "-" : ""}${tenths / 10n}.${tenths % 10n}`;
}

/** How much more than before, in percent; null when there was nothing. */
export const changeOf = (now: bigint, before: bigint): string | null => percent(now - before, before);

const callView = (call: DearCall) => ({
  ...call,
  input_tokens: Number(call.input_tokens),
  output_tokens: Number(call.output_tokens),
  cost: formatCredits(call.cost),
  created_at: call.created_at.toISOString(),
});

/** What calls that brought nothing, or late, have cost. */
function wasteOf(all: readonly Ending[]) {
  const of = (status: Ending["status"]) => all.filter((ending) => ending.status === status);
  const calls = (list: readonly Ending[]) => list.reduce((total, ending) => total + ending.calls, 0);
  const cost = (list: readonly Ending[]) => formatCredits(list.reduce((total, ending) => total + ending.cost, 0n));
  const failed = of("failed");
  const left = of("client_gone");
  return {
    failed: {
      calls: calls(failed),
      cost: cost(failed),
      seconds: Math.round(failed.reduce((total, { duration_ms }) => total + duration_ms, 0) / 1_000),
      errors: failed.slice(0, MOST_ERRORS).map(({ error_code, calls }) => ({ error_code, calls })),
    },
    cancelled: { calls: calls(left), cost: cost(left) },
    retried: {
      calls: all.reduce((total, { retried }) => total + retried, 0),
      retries: all.reduce((total, { retries }) => total + retries, 0),
    },
  };
}

function groupView(groups: readonly Sums[], total: bigint, nameOf: (key: string | null) => string | null) {
  return groups.map((sums) => ({ key: sums.key, name: nameOf(sums.key), ...sumsView(sums), share_percent: percent(sums.cost, total) }));
}

/**
 * The report of one calendar month in a time zone. A month that is not over is compared with the same part of the one before. Throws
 * `validation_failed` for a month to come.
 */
export async function monthReport(
  db: Queryable,
  userId: string,
  ask: { month: string | undefined; timeZone: string; now: Date; keyNames: ReadonlyMap<string, string> },
) {
  const { timeZone, now, keyNames } = ask;
  const present = periodsAt(timeZone, now.getTime()).month;
  const month = ask.month ?? present;
  if (month > present) throw fieldError("month", "has not begun");
  const range = monthRange(month, timeZone);
  const before = monthRange(monthBefore(month), timeZone);
  const complete = range.to <= now;
  const part: Range = complete
    ? before
    : { from: before.from, to: new Date(Math.min(before.to.getTime(), before.from.getTime() + now.getTime() - range.from.getTime())) };
  const own = { user: userId };
  const [days, models, keys, whole, same] = await Promise.all([
    sumsBy(db, "day", range, timeZone, own),
    sumsBy(db, "model", range, timeZone, own),
    sumsBy(db, "key", range, timeZone, own),
    sumsBy(db, "model", before, timeZone, own),
    complete ? undefined : sumsBy(db, "model", part, timeZone, own),
  ]);
  const total = totalOf(days);
  const compared = totalOf(same ?? whole);
  return {
    month,
    time_zone: timeZone,
    from: range.from.toISOString(),
    to: range.to.toISOString(),
    complete,
    totals: sumsView(total),
    previous: { month: monthBefore(month), ...sumsView(totalOf(whole)) },
    change: {
      compared_with: complete ? ("month" as const) : ("same_part" as const),
      requests: sumsView(compared).requests,
      cost: formatCredits(compared.cost),
      difference: formatCredits(total.cost - compared.cost),
      cost_percent: changeOf(total.cost, compared.cost),
      requests_percent: changeOf(total.requests, compared.requests),
    },
    by_day: groupView(days, total.cost, () => null),
    by_model: groupView(models, total.cost, (key) => key),
    by_key: groupView(keys, total.cost, (key) => (key === null ? null : (keyNames.get(key) ?? null))),
    dearest: (await dearestCalls(db, userId, range, DEAREST)).map(callView),
    waste: wasteOf(await endings(db, userId, range)),
  };
}

export type MonthReport = Awaited<ReturnType<typeof monthReport>>;
