import { ONE } from "../price.ts";

/** What prices are multiplied by: pure, in whole millionths. */

/** A part of the day in a time zone. */
export interface TimeWindow {
  timeZone: string;
  /** Minutes of the local day; the end is not included, and on the next day when it is not after the beginning. */
  fromMinute: number;
  toMinute: number;
  /** Days on which the window begins, 1 is Monday; null for all. */
  days: readonly number[] | null;
}

/** One multiplier and when it holds; a condition that is null holds always. */
export interface MultiplierRule {
  multiplier: number;
  tier: string | null;
  keyGroup: string | null;
  /** The model's name, not an alias. */
  model: string | null;
  window: TimeWindow | null;
}

/** Who calls what and when. */
export interface PricedFor {
  tier: string;
  keyGroup: string | null;
  model: string;
  at: Date;
}

/** However many rules meet, a price is at most a hundred times itself. */
const MOST = 100 * ONE;
const MINUTE_MS = 60_000;
const DAYS: Record<string, number> = { Mon: 1, Tue: 2, Wed: 3, Thu: 4, Fri: 5, Sat: 6, Sun: 7 };

interface Clock {
  format: Intl.DateTimeFormat;
  minuteOfEpoch: number;
  now: { day: number; minute: number };
}
const clocks = new Map<string, Clock>();

/** Day of the week and minute of the day in a time zone. The last answer of each zone is kept: calls come many to the minute. */
export function localTime(timeZone: string, at: Date): { day: number; minute: number } {
  const minuteOfEpoch = Math.floor(at.getTime() / MINUTE_MS);
  let clock = clocks.get(timeZone);
  if (clock?.minuteOfEpoch === minuteOfEpoch) return clock.now;
  const format =
    clock?.format ?? new Intl.DateTimeFormat("en-US", { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const now = { day: DAYS[parts["weekday"]!]!, minute: Number(parts["hour"]) * 60 + Number(parts["minute"]) };
  clock = { format, minuteOfEpoch, now };
  clocks.set(timeZone, clock);
  return now;
}

/** Whether a moment lies in a window; one over midnight belongs to the day on which it begins. */
export function inWindow(window: TimeWindow, at: Date): boolean {
  const { day, minute } = localTime(window.timeZone, at);
  const begins = (on: number) => window.days === null || window.days.includes(on);
  if (window.fromMinute < window.toMinute) return minute >= window.fromMinute && minute < window.toMinute && begins(day);
  const dayBefore = day === 1 ? 7 : day - 1;
  return (minute >= window.fromMinute && begins(day)) || (minute < window.toMinute && begins(dayBefore));
}

function matches(rule: MultiplierRule, { tier, keyGroup, model, at }: PricedFor): boolean {
  return (
    (rule.model === null || rule.model === model) &&
    (rule.tier === null || rule.tier === tier) &&
    (rule.keyGroup === null || rule.keyGroup === keyGroup) &&
    (rule.window === null || inWindow(rule.window, at))
  );
}

/** The product of the rules that match, in millionths: exact, then rounded half up once. {@link ONE} when none does. */
export function multiplierFor(rules: readonly MultiplierRule[], what: PricedFor): number {
  let found = 0;
  let product = 1n;
  for (const rule of rules) {
    if (!matches(rule, what)) continue;
    found += 1;
    product *= BigInt(rule.multiplier);
  }
  if (found === 0) return ONE;
  const scale = BigInt(ONE) ** BigInt(found - 1);
  return Math.min(Number((product * 2n + scale) / (scale * 2n)), MOST);
}
