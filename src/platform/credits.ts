import { formatDecimal, parseDecimal } from "./decimal.ts";

/** Micro-credits in one credit (= one point). Every amount inside the program is a bigint of micro-credits. */
export const MICRO = 1_000_000n;

/** "93.5" → 93500000n; undefined when it is not a plain decimal with at most 6 places. */
export function parseCredits(text: string, options: { signed?: boolean } = {}): bigint | undefined {
  return parseDecimal(text, 6, options);
}

/** 93500000n → "93.5". */
export function formatCredits(micro: bigint): string {
  return formatDecimal(micro, 6);
}
