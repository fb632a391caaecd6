import { MICRO } from "../../../platform/credits.ts";

/** How to spend less: an amount, what it is about, and why. */
export interface Hint {
  kind: "unused_cache" | "cheaper_model" | "large_max_tokens" | "broken_calls" | "expiring_credit";
  /** Micro-credits that could be saved: in 30 days, with each call, or once. */
  amount: bigint;
  per: "30_days" | "call" | "once";
  model: string | null;
  reason: string;
  /** The figures of the reason, for whoever shows it in other words. */
  facts: Record<string, string | number>;
}

/** What is not worth a credit is not worth a hint. */
export const LEAST_AMOUNT = MICRO;
/** Fewer calls say nothing. */
export const LEAST_CALLS = 10;

/** Credits for reading, to a hundredth, rounded half up. */
export function readable(micro: bigint): string {
  const hundredths = (micro * 2n + 10_000n) / 20_000n;
  const rest = (hundredths % 100n).toString().padStart(2, "0").replace(/0+$/, "");
  return `${hundredths / 100n}${rest && `.${rest}`}`;
}

/** Rows by a text of theirs, in the order in which it first comes. */
export function groupBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}
