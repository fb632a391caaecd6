import { beginOf, dateIn } from "./periods.ts";

/** A span of time in milliseconds since 1970: from is in it, until is not. */
export interface Span {
  fromMs: number;
  untilMs: number;
}

/** A period of a subscription. */
export interface Period extends Span {
  /**
   * For how long its amounts are meant, in milliseconds: as long as the period, or longer where a change of day or zone has cut it short.
   */
  wholeMs: number;
}

/** How a subscription's months are cut: on which day, in whose time. */
export interface Rhythm {
  /** 1 to 31; in a month without that day its last day counts. */
  resetDay: number;
  timeZone: string;
}

/** What a subscription is from a moment on. */
export interface Terms extends Rhythm {
  fromMs: number;
  plan: string;
}

/** The reset day of a month as a date; `month` counts from 0 and may be beyond a year's ends. */
function resetDate(year: number, month: number, resetDay: number): string {
  const first = new Date(Date.UTC(year, month, 1));
  const days = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return `${first.toISOString().slice(0, 8)}${String(Math.min(resetDay, days)).padStart(2, "0")}`;
}

/**
 * The resets before and after an instant: periods begin with the reset day, at midnight or, where clocks leave that out, with the first
 * moment of the day. When the reset day of the present month is still ahead, that is the next one. Throws a RangeError for an unknown zone.
 */
export function resetsAround({ resetDay, timeZone }: Rhythm, ms: number): Span {
  const today = dateIn(timeZone, ms);
  const [year, month] = today.split("-").map(Number) as [number, number, number];
  const passed = resetDate(year, month - 1, resetDay) <= today ? 0 : -1;
  return {
    fromMs: beginOf(timeZone, resetDate(year, month - 1 + passed, resetDay)).getTime(),
    untilMs: beginOf(timeZone, resetDate(year, month + passed, resetDay)).getTime(),
  };
}

/** The terms in force at an instant: the last that have begun, or the first. `terms` are in their order and not empty. */
export function termsAt<T extends Terms>(terms: readonly T[], ms: number): T {
  return terms[placeAt(terms, ms)]!;
}

function placeAt(terms: readonly Terms[], ms: number): number {
  let place = terms.length - 1;
  while (place > 0 && terms[place]!.fromMs > ms) place -= 1;
  return place;
}

/**
 * Up to when a period that has begun is looked at, at `nowMs`: a term that begins within it is a change that was made, be it by a clock
 * that is a little ahead, or after `nowMs` was read.
 */
export function lookedAtUntil(terms: readonly Terms[], { untilMs }: Span, nowMs: number): number {
  const newestMs = terms.findLast(({ fromMs }) => fromMs < untilMs)?.fromMs ?? 0;
  return Math.min(Math.max(nowMs, newestMs), untilMs - 1);
}

const sameRhythm = (a: Rhythm, b: Rhythm): boolean => a.resetDay === b.resetDay && a.timeZone === b.timeZone;

/**
 * The period of a subscription that contains an instant. The first one, and the first after a change of day or zone, may be shorter than
 * a month, none is longer: the first is whole all the same, one that a change made short is a part of a month. Periods follow each other
 * without a gap.
 */
export function periodAt(terms: readonly Terms[], ms: number): Period {
  const place = placeAt(terms, ms);
  const natural = resetsAround(terms[place]!, ms);
  let first = place;
  while (first > 0 && sameRhythm(terms[first - 1]!, terms[place]!)) first -= 1;
  const next = terms.find((other, n) => n > place && !sameRhythm(other, terms[place]!));
  const beganMs = ms < terms[0]!.fromMs ? -Infinity : terms[first]!.fromMs;
  const [fromMs, untilMs] = [Math.max(natural.fromMs, beganMs), Math.min(natural.untilMs, next?.fromMs ?? Infinity)];
  return { fromMs, untilMs, wholeMs: first === 0 ? untilMs - fromMs : natural.untilMs - natural.fromMs };
}

/** All periods from the one that contains `sinceMs` to the one that contains `nowMs`, oldest first, at most `most`. */
export function periodsBetween(terms: readonly Terms[], sinceMs: number, nowMs: number, most = 1_200): Period[] {
  const periods: Period[] = [];
  for (let ms = sinceMs; ms <= nowMs && periods.length < most; ms = periods.at(-1)!.untilMs) periods.push(periodAt(terms, ms));
  return periods;
}
