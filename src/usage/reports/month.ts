import { formatCredits } from "../../platform/credits.ts";
import type { Queryable } from "../../platform/postgres.ts";
import { dateAfter, periodsAt } from "../../quotas/index.ts";
import { monthRange, type Range } from "../stats/range.ts";
import { sumsBy } from "../stats/sums.ts";
import { forecastMonth, type Day } from "./forecast.ts";

/** The forecast of somebody's present month, from what his days cost. */

const HISTORY_DAYS = 56;
const DAY_PARTS = 10_000;

const weekdayOf = (date: string): number => new Date(`${date}T00:00:00Z`).getUTCDay();

/** Dates from one to another, the last one not included. */
function datesBetween(from: string, to: string): string[] {
  const dates: string[] = [];
  for (let date = from; date < to; date = dateAfter(date, { days: 1 })) dates.push(date);
  return dates;
}

/** Whether somebody used anything before a moment. */
async function usedBefore(db: Queryable, userId: string, moment: Date): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>(
    "SELECT EXISTS (SELECT FROM usage_hourly WHERE user_id = $1 AND hour < $2) AS found",
    [userId, moment],
  );
  return rows[0]!.found;
}

export async function monthForecast(db: Queryable, userId: string, timeZone: string, now: Date) {
  const { day: today, month, dayBegan, dayEnds } = periodsAt(timeZone, now.getTime());
  const { to: monthEnds } = monthRange(month, timeZone);
  const oldest = dateAfter(today, { days: -HISTORY_DAYS });
  const first = oldest < `${month}-01` ? oldest : `${month}-01`;
  const range: Range = { from: monthRange(first.slice(0, 7), timeZone).from, to: dayEnds };
  const costs = new Map((await sumsBy(db, "day", range, timeZone, { user: userId })).map(({ key, cost }) => [key!, cost]));
  const used = [...costs.keys()].filter((date) => date >= oldest).sort()[0];
  const since = (await usedBefore(db, userId, range.from)) || [...costs.keys()].some((date) => date < oldest) ? oldest : used;
  const history = datesBetween(since ?? today, today).map((date): Day => ({ weekday: weekdayOf(date), cost: costs.get(date) ?? 0n }));
  let spent = 0n;
  for (const [date, cost] of costs) if (date.startsWith(month)) spent += cost;
  const lengthMs = dayEnds.getTime() - dayBegan.getTime();
  const forecast = forecastMonth({
    history,
    spent,
    weekday: weekdayOf(today),
    leftOfToday: BigInt(Math.round(((dayEnds.getTime() - now.getTime()) * DAY_PARTS) / lengthMs)),
    ahead: datesBetween(dateAfter(today, { days: 1 }), dateAfter(`${month}-01`, { months: 1 })).map(weekdayOf),
  });
  const text = (micro: bigint | null) => (micro === null ? null : formatCredits(micro));
  return {
    month,
    time_zone: timeZone,
    as_of: now.toISOString(),
    ends: monthEnds.toISOString(),
    spent: formatCredits(forecast.spent),
    expected: formatCredits(forecast.expected),
    low: text(forecast.low),
    high: text(forecast.high),
    confidence: forecast.confidence,
    days_of_history: forecast.daysOfHistory,
    method: "weekday_run_rate" as const,
  };
}
