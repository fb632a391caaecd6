import { formatDecimal, parseDecimal } from "../platform/decimal.ts";

/** Amounts of money are bigint minor units (fen for CNY). Parsing is exact and strict. */

const AMOUNT = /^\d{1,9}(\.\d{1,2})?$/;

/** "50", "50.0" and "50.00" → 5000n. Anything else, also "50.001", " 50", "+50" and "５０", → undefined. */
export function parseMoney(text: string): bigint | undefined {
  return AMOUNT.test(text) ? parseDecimal(text, 2, { maxDigits: 9 }) : undefined;
}

/** 5000n → "50.00". */
export function formatMoney(minor: bigint): string {
  return formatDecimal(minor, 2, 2);
}

/** From this amount on, this much is added. */
export interface BonusTier {
  from: bigint;
  /** Hundredths of a percent. */
  basisPoints: bigint;
}

/** Reads ["100:5", "500:10"] (from 100 yuan 5 %, from 500 yuan 10 %). Throws with the bad entry. */
export function parseBonusTiers(entries: readonly string[]): BonusTier[] {
  const tiers = entries.map((entry) => {
    const [amount = "", percent = "", ...rest] = entry.split(":");
    const from = parseMoney(amount);
    const basisPoints = parseDecimal(percent, 2, { maxDigits: 4 });
    if (from === undefined || basisPoints === undefined || rest.length > 0) {
      throw new Error(`TOPUP_BONUS_TIERS: "${entry}" must be amount:percent, such as 100:5`);
    }
    return { from, basisPoints };
  });
  return tiers.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
}

/** What an amount buys: base at `rate` micro-credits per unit of 100 minor units, and the bonus of the highest tier it reaches, rounded down. */
export function creditsFor(amount: bigint, rate: bigint, tiers: readonly BonusTier[]): { base: bigint; bonus: bigint } {
  const base = (amount * rate) / 100n;
  const tier = tiers.findLast((candidate) => amount >= candidate.from);
  return { base, bonus: tier ? (base * tier.basisPoints) / 10_000n : 0n };
}
