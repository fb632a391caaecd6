import { periodsAt } from "../../quotas/index.ts";

/**
 * The rules of days, as pure functions. A day is one of the person's time zone. The zone can be changed at any time, so:
 * - the day must be later than every day that is taken, which rules out checking in for a day that is past elsewhere;
 * - after a change of the zone it must be a new day in the old zone too, and 20 hours since the last check-in.
 */

/** A check-in as the rules see it. */
export interface TakenDay {
  /** "2026-11-21" */
  day: string;
  timeZone: string;
  at: Date;
  streak: number;
}

export interface DaysTaken {
  /** The latest day that is taken, by a check-in or made up. */
  newest: TakenDay | undefined;
  /** The latest check-in. */
  lastCheckIn: TakenDay | undefined;
}

export interface DayVerdict {
  today: string;
  /** When the next check-in is possible; undefined: now. */
  opensAt: Date | undefined;
  /** Days in a row that stand now, without a check-in to come. */
  streak: number;
  /** What the streak becomes with the next check-in, if that is made on the first day it can be. */
  nextStreak: number;
}

const HOUR_MS = 3_600_000;
/** Between check-ins in two zones. */
const MOVE_PAUSE_MS = 20 * HOUR_MS;
/** Who moved has missed no day when it is not longer than this since the last check-in: a calendar may skip a day on the way. */
const MOVE_GRACE_MS = 48 * HOUR_MS;

/** The day before an instant's day; also where the calendar skips one. */
function dayBefore(timeZone: string, ms: number): string {
  return periodsAt(timeZone, periodsAt(timeZone, ms).dayBegan.getTime() - 1).day;
}

/** The `count` days up to the one at an instant, oldest first. */
export function daysUntil(timeZone: string, ms: number, count: number): string[] {
  const days: string[] = [];
  for (let period = periodsAt(timeZone, ms); days.length < count; period = periodsAt(timeZone, period.dayBegan.getTime() - 1)) {
    days.unshift(period.day);
  }
  return days;
}

/** When the first day after `day` begins that is not over at `ms`. */
function beginAfter(timeZone: string, ms: number, day: string): number {
  let period = periodsAt(timeZone, ms);
  while (period.day <= day) period = periodsAt(timeZone, period.dayEnds.getTime());
  return period.dayBegan.getTime();
}

/** What somebody in `timeZone` may do at `now`. */
export function judgeDay(now: Date, timeZone: string, { newest, lastCheckIn }: DaysTaken): DayVerdict {
  const ms = now.getTime();
  const today = periodsAt(timeZone, ms).day;
  if (!newest) return { today, opensAt: undefined, streak: 0, nextStreak: 1 };
  const opens = [beginAfter(timeZone, ms, newest.day)];
  const moved = lastCheckIn !== undefined && lastCheckIn.timeZone !== timeZone;
  if (moved) opens.push(beginAfter(lastCheckIn.timeZone, ms, lastCheckIn.day), lastCheckIn.at.getTime() + MOVE_PAUSE_MS);
  const opensMs = Math.max(...opens);
  const firstMs = Math.max(opensMs, ms);
  const goesOn =
    newest.day >= dayBefore(timeZone, firstMs) ||
    (moved && newest.day === lastCheckIn.day && firstMs - lastCheckIn.at.getTime() < MOVE_GRACE_MS);
  const streak = goesOn ? newest.streak : 0;
  return { today, opensAt: opensMs > ms ? new Date(opensMs) : undefined, streak, nextStreak: streak + 1 };
}

/** What the n-th day in a row pays, in micro-credits. */
export function rewardOf(streak: number, table: readonly bigint[], pastTable: "last" | "repeat"): bigint {
  const index = pastTable === "last" ? Math.min(streak, table.length) - 1 : (streak - 1) % table.length;
  return table[index] ?? 0n;
}
