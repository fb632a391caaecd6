import { beginOf, dateAfter, dateIn, periodsAt, type Periods } from "./periods.ts";

const DAY_MS = 86_400_000;

/** The day that counted when a zone was changed: the day that it was in that zone at `atMs`. */
interface DayBefore {
  timeZone: string;
  atMs: number;
  /** The first midnight of the new zone after it: until then it lasts, with as much more of its limit as it is longer. */
  endsMs: number;
  /** Later than that when the zone was changed again after the day was over. */
  untilMs: number;
}

/** In whose days and months spend limits are counted: those of `timeZone`, from the moment when the day `before` has ended. */
export interface LimitZone {
  timeZone: string;
  before?: DayBefore | undefined;
}

/** The periods that count at an instant. */
export interface Counted extends Periods {
  /** By how much the day is longer than days are, and its limit now larger for it, in millionths of a day. */
  longer: bigint;
}

/**
 * A zone that is changed at an instant. The present day of the zone before stays whole, and goes on to a midnight of the new zone. So no day
 * is shorter than it would have been, and who changes the zone again and again has no more of a limit, and no less.
 */
export function changeZone({ timeZone, before }: LimitZone, to: string, nowMs: number): LimitZone {
  const present = before && nowMs < before.untilMs ? before : undefined;
  const counted = present ?? { timeZone, atMs: nowMs };
  const { day, dayEnds } = periodsAt(counted.timeZone, counted.atMs);
  // What the day is longer by is settled when it is over.
  const settled = present && nowMs >= dayEnds.getTime() ? present.endsMs : undefined;
  if (settled === undefined && to === counted.timeZone) return { timeZone: to };
  const untilMs = midnight(to, settled ?? dayEnds.getTime(), day);
  return { timeZone: to, before: { timeZone: counted.timeZone, atMs: counted.atMs, endsMs: settled ?? untilMs, untilMs } };
}

/** The first midnight from an instant on with which a day begins in a zone that has a later date than `day`. */
function midnight(timeZone: string, fromMs: number, day: string): number {
  let date = dateIn(timeZone, fromMs);
  while (date <= day || beginOf(timeZone, date).getTime() < fromMs) date = dateAfter(date, { days: 1 });
  return beginOf(timeZone, date).getTime();
}

/** The day and month that count at an instant. */
export function countedAt({ timeZone, before }: LimitZone, ms: number): Counted {
  if (!before || ms >= before.untilMs) return { ...periodsAt(timeZone, ms), longer: 0n };
  const { atMs, endsMs, untilMs } = before;
  const last = periodsAt(before.timeZone, atMs);
  const next = periodsAt(timeZone, untilMs);
  const over = last.dayEnds;
  const dayEnds = new Date(untilMs);
  // A month that is over with the day ends when the day was to end; another one with the longer day, if it is over in the new zone then.
  const monthEnds = next.month === last.month ? next.monthEnds : last.monthEnds <= over ? over : dayEnds;
  if (ms < over.getTime()) return { ...last, dayEnds, monthEnds, fromMs: Math.min(ms, atMs), untilMs: over.getTime(), longer: 0n };
  const month = monthEnds <= over ? { month: next.month, monthBegan: over, monthEnds: next.monthEnds } : { monthEnds };
  const longer = (BigInt(endsMs - over.getTime()) * 1_000_000n) / BigInt(DAY_MS);
  return { ...last, dayEnds, ...month, fromMs: over.getTime(), untilMs, longer };
}
