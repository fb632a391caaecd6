import type { Config } from "../config/index.ts";
import { MICRO } from "../platform/credits.ts";

/** Micro-credits for one whole unit of a currency; a currency that is missing cannot be compared with credits. */
export type Rates = Readonly<Record<string, bigint>>;

/** The rates as configured; a rate of 0 was not said. */
export function ratesOf(config: Pick<Config, "CREDITS_PER_YUAN" | "CREDITS_PER_DOLLAR">): Rates {
  return {
    CREDITS: MICRO,
    CNY: config.CREDITS_PER_YUAN,
    ...(config.CREDITS_PER_DOLLAR > 0n ? { USD: config.CREDITS_PER_DOLLAR } : {}),
  };
}

/** Millionths of a currency in micro-credits, rounded up; undefined without a rate. */
export function inCredits(cost: bigint, currency: string, rates: Rates): bigint | undefined {
  const rate = rates[currency];
  return rate === undefined ? undefined : (cost * rate + MICRO - 1n) / MICRO;
}

/** Sale minus cost in micro-credits, and as percent of the sale with one decimal; null where one is not known. */
export function marginOf(sale: bigint | null, cost: bigint | undefined): { margin: bigint | null; percent: string | null } {
  if (sale === null || cost === undefined) return { margin: null, percent: null };
  const margin = sale - cost;
  if (sale === 0n) return { margin, percent: null };
  const tenths = (margin * 1_000n) / sale;
  const text = `${tenths < 0n ? "-" : ""}${(tenths < 0n ? -tenths : tenths) / 10n}.${(tenths < 0n ? -tenths : tenths) % 10n}`;
  return { margin, percent: text };
}
