import { periodAt, termsAt, type Rhythm, type Terms } from "./calendar.ts";

/**
 * So long before it begins, the end of the next period is settled: a change of day or zone that comes later counts a period later. Every
 * copy has learned of a change by then, and none has counted or opened the period by the old day.
 */
const SETTLED_MS = 60_000;

/** What terms change to. */
export interface TermChange extends Rhythm {
  plan: string;
  /** Whether the plan counts from this moment, not from the next period. */
  atOnce: boolean;
}

const sameTerms = (a: Terms, b: Terms): boolean => a.plan === b.plan && a.resetDay === b.resetDay && a.timeZone === b.timeZone;

/** Whether two lists of terms say the same. */
export const sameList = (a: readonly Terms[], b: readonly Terms[]): boolean =>
  a.length === b.length && a.every((one, n) => one.fromMs === b[n]!.fromMs && sameTerms(one, b[n]!));

/** Terms in their order, without those that say what was in force already; of two that begin together the later one. */
function tidy(terms: readonly Terms[]): Terms[] {
  const last = new Map(terms.map((one) => [one.fromMs, one]));
  return [...last.values()].filter((one, n, all) => n === 0 || !sameTerms(all[n - 1]!, one));
}

/**
 * Terms after a change at `nowMs`. The plan counts from now or where the present period ends, day and zone always where a period ends, so
 * that no period which has begun, or is about to, moves. What was to come is replaced. `openedUntilMs`: until when periods are open.
 */
export function changedTerms(terms: readonly Terms[], to: TermChange, nowMs: number, openedUntilMs = 0): Terms[] {
  const { plan, resetDay, timeZone, atOnce } = to;
  const settledMs = Math.max(nowMs + SETTLED_MS, openedUntilMs - 1);
  const kept = terms.filter(({ fromMs }) => fromMs <= settledMs);
  const planMs = atOnce ? nowMs : periodAt(kept, nowMs).untilMs;
  const rhythmMs = periodAt(kept, settledMs).untilMs;
  return tidy([
    ...kept.filter(({ fromMs }) => fromMs < planMs),
    { ...termsAt(kept, planMs), fromMs: planMs, plan },
    ...kept.filter(({ fromMs }) => fromMs > planMs).map((one) => ({ ...one, plan })),
    { fromMs: rhythmMs, plan, resetDay, timeZone },
  ]);
}

/** Those of the terms that begin at a moment or later: what a change of them writes in place of what was there. */
export const termsFrom = (terms: readonly Terms[], ms: number): Terms[] => terms.filter(({ fromMs }) => fromMs >= ms);
