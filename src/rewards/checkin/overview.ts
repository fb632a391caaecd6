import { periodsAt } from "../../quotas/index.ts";
import { checkInSettings } from "../settings.ts";
import { daysUntil, judgeDay, rewardOf } from "./days.ts";
import { countMadeUp, daysBetween, daysTaken, listDays, type CheckInRow } from "./repository.ts";
import { monthBegan } from "./makeup.ts";
import type { CheckInDeps, CheckInPerson } from "./service.ts";

/** Where somebody stands. Amounts in micro-credits. */
export interface Overview {
  today: string;
  checkedInToday: boolean;
  streak: number;
  /** What the next check-in pays, if it is made on the first day it can be. */
  nextReward: bigint;
  nextAt: Date | undefined;
  month: string;
  calendar: CheckInRow[];
  makeup: { days: string[]; price: bigint; leftThisMonth: number };
  records: { items: CheckInRow[]; total: number };
}

type Person = CheckInPerson & { since: Date };

/** Reads where somebody stands, with the days of a month (the present one unless told) and a page of all records. */
export function createOverview(deps: CheckInDeps) {
  const { pool, settings, clock } = deps;

  /** Missed days that can be made up now. */
  async function missedDays(person: Person, now: Date, daysBack: number): Promise<string[]> {
    if (daysBack === 0) return [];
    const days = daysUntil(person.timeZone, now.getTime(), daysBack + 1).slice(0, -1);
    const joined = periodsAt(person.timeZone, person.since.getTime()).day;
    const taken = new Set((await daysBetween(pool, person.userId, days[0]!, days.at(-1)!)).map((row) => row.day));
    return days.filter((day) => day >= joined && !taken.has(day));
  }

  return async (person: Person, query: { month?: string | undefined; page: number; page_size: number }): Promise<Overview> => {
    const { userId, timeZone } = person;
    const { enabled, rewards, pastTable, makeupDays, makeupPrice, makeupPerMonth } = await settings.read(checkInSettings);
    const now = clock.now();
    const taken = await daysTaken(pool, userId);
    const { today, opensAt, streak, nextStreak } = judgeDay(now, timeZone, taken);
    const month = query.month ?? today.slice(0, 7);
    const daysBack = enabled ? makeupDays : 0;
    const [calendar, records, days, used] = await Promise.all([
      daysBetween(pool, userId, `${month}-01`, lastOf(month)),
      listDays(pool, userId, query),
      missedDays(person, now, daysBack),
      daysBack === 0 ? 0 : countMadeUp(pool, userId, monthBegan(now)),
    ]);
    return {
      today,
      checkedInToday: taken.newest !== undefined && taken.newest.day >= today,
      streak,
      nextReward: enabled ? rewardOf(nextStreak, rewards, pastTable) : 0n,
      nextAt: opensAt,
      month,
      calendar,
      makeup: { days, price: makeupPrice, leftThisMonth: daysBack === 0 ? 0 : Math.max(0, makeupPerMonth - used) },
      records,
    };
  };
}

/** The last day of a month, "2026-11" → "2026-11-30". */
function lastOf(month: string): string {
  const [year, number] = month.split("-").map(Number) as [number, number];
  return new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
}
