/** What a month will cost: pure, in whole micro-credits. The method is said in docs/usage.md. */

/** What is known when the forecast is made. Dates are local, weekdays 0 to 6. */
export interface ForecastInput {
  /** Full days before today, without gaps, the oldest first; at most eight weeks, and none before the first use. */
  history: readonly Day[];
  /** Spent in this month, today included. */
  spent: bigint;
  /** The weekday it is. */
  weekday: number;
  /** How much of today is left, in ten-thousandths. */
  leftOfToday: bigint;
  /** The weekdays of the days of the month after today. */
  ahead: readonly number[];
}

export interface Day {
  weekday: number;
  cost: bigint;
}

export type Confidence = "none" | "low" | "medium" | "high";

export interface Forecast {
  spent: bigint;
  expected: bigint;
  /** Four of five months like this one end between low and high; null without a history. */
  low: bigint | null;
  high: bigint | null;
  confidence: Confidence;
  daysOfHistory: number;
}

const DAY = 10_000n;
/** 1.28 standard deviations on either side hold 80 of 100, squared, in ten-thousandths. */
const WIDTH_SQUARED = 16_384n;
const WEEKDAYS = 7;

const roundedDiv = (value: bigint, by: bigint): bigint => (value * 2n + by) / (by * 2n);
const sum = (values: Iterable<bigint>): bigint => {
  let total = 0n;
  for (const value of values) total += value;
  return total;
};

/** The whole root of a number from 0 (Newton). */
export function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let guess = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

/** The usual day of each weekday: its mean together with one day like the mean of all, so that few days of a kind count for little. */
function usualDays(history: readonly Day[]): bigint[] {
  const days = BigInt(history.length);
  const all = sum(history.map(({ cost }) => cost));
  return Array.from({ length: WEEKDAYS }, (_, weekday) => {
    const same = history.filter((day) => day.weekday === weekday);
    return roundedDiv(days * sum(same.map(({ cost }) => cost)) + all, days * BigInt(same.length + 1));
  });
}

/** From the number of days it comes from, and from how wide it is. */
function confidenceOf(days: number, width: bigint, expected: bigint): Confidence {
  if (days === 0) return "none";
  if (days < WEEKDAYS || width * 10n > expected * 6n) return "low";
  return days >= 3 * WEEKDAYS && width * 10n <= expected * 2n ? "high" : "medium";
}

/**
 * Spent so far, the usual day of each weekday for the days to come, and of today for what is left of it. The range is that of days which
 * differ from the usual one as those of the history did, and of a mean made from so many days. Without a history only what is spent is known.
 */
export function forecastMonth({ history, spent, weekday, leftOfToday, ahead }: ForecastInput): Forecast {
  const days = BigInt(history.length);
  if (days === 0n) return { spent, expected: spent, low: null, high: null, confidence: "none", daysOfHistory: 0 };
  const usual = usualDays(history);
  const toCome = sum(ahead.map((day) => usual[day]!)) + roundedDiv(usual[weekday]! * leftOfToday, DAY);
  const expected = spent + toCome;
  const squares = sum(history.map((day) => (day.cost - usual[day.weekday]!) ** 2n));
  const variance = days === 1n ? squares : squares / (days - 1n);
  const left = BigInt(ahead.length) * DAY + leftOfToday;
  const spread = squareRoot((WIDTH_SQUARED * variance * left * (days * DAY + left)) / (DAY * DAY * DAY * days));
  const low = spread > toCome ? spent : expected - spread;
  const high = expected + spread;
  return { spent, expected, low, high, confidence: confidenceOf(history.length, high - low, expected), daysOfHistory: history.length };
}
