import { fieldError } from "../../platform/errors.ts";
import { beginOf, dateAfter, periodsAt } from "../../quotas/index.ts";

/** `from` is in it, `to` is not. */
export interface Range {
  from: Date;
  to: Date;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days shown when nobody says from when, today included. */
const DEFAULT_DAYS = 30;
/** The longest range by what it is cut into; a day more for a month in which clocks are set back. */
const MOST_DAYS = { hour: 32, day: 1_100, other: 3_700 } as const;

const moment = (text: string, timeZone: string) => (text.includes("T") ? new Date(text) : beginOf(timeZone, text));

/**
 * The range that is asked for; a date is the beginning of that day in `timeZone`. Without `from`, the last `defaultDays` there (30, or 24
 * hours by the hour); without `to`, until the end of the present hour. Throws `validation_failed` for a range that is empty or too long.
 */
export function rangeOf(
  asked: { from?: string | undefined; to?: string | undefined },
  timeZone: string,
  now: Date,
  cut: keyof typeof MOST_DAYS = "other",
  defaultDays = cut === "hour" ? 1 : DEFAULT_DAYS,
): Range {
  const to = asked.to === undefined ? new Date((Math.floor(now.getTime() / HOUR_MS) + 1) * HOUR_MS) : moment(asked.to, timeZone);
  const from = asked.from === undefined ? beginning(to, timeZone, defaultDays) : moment(asked.from, timeZone);
  if (from >= to) throw fieldError(asked.to === undefined ? "from" : "to", "must be after the beginning of the range");
  const most = MOST_DAYS[cut];
  if (to.getTime() - from.getTime() > most * DAY_MS) throw fieldError("from", `must be at most ${most} days before the end of the range`);
  return { from, to };
}

function beginning(to: Date, timeZone: string, days: number): Date {
  if (days === 1) return new Date(to.getTime() - DAY_MS);
  const { day } = periodsAt(timeZone, to.getTime() - 1);
  return beginOf(timeZone, dateAfter(day, { days: 1 - days }));
}

/** A calendar month "2026-11" in a time zone. */
export function monthRange(month: string, timeZone: string): Range {
  return { from: beginOf(timeZone, `${month}-01`), to: beginOf(timeZone, dateAfter(`${month}-01`, { months: 1 })) };
}

/** The month before "2026-11". */
export const monthBefore = (month: string): string => dateAfter(`${month}-01`, { months: -1 }).slice(0, 7);
