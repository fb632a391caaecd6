import type { Span } from "./calendar.ts";

/** What was granted or allowed in a part of a period; undefined for no limit. */
export interface Part extends Span {
  amount: bigint | undefined;
}

/**
 * What a period is worth in which an amount changed, or that is shorter than the `wholeMs` amounts are meant for: each amount by the share
 * of `wholeMs`, to the millisecond, for which it counted; the sum is rounded up once. A part without a limit counts as if the last amount
 * had been in force: nobody loses by a limit that comes in mid-period. Undefined when there is no limit at the end.
 */
export function prorate(parts: readonly Part[], wholeMs: number): bigint | undefined {
  const last = parts.at(-1)!.amount;
  if (last === undefined) return undefined;
  const whole = BigInt(wholeMs);
  const sum = parts.reduce((total, { fromMs, untilMs, amount }) => total + (amount ?? last) * BigInt(untilMs - fromMs), 0n);
  return (sum + whole - 1n) / whole;
}
