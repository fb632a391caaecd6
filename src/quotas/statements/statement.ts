import type { Turnover } from "../../ledger/index.ts";

/** Sums by what they are: `TYPE` or `TYPE source`; positive ones went in. */
export type Sums = Record<string, bigint>;

/** What is known of a wallet at the writing of a statement. */
export interface Ground {
  /** The wallet's balance now. */
  balance: bigint;
  /** What went in and out since the statement before was written; of a first one, nothing: what counts is in `before.later`. */
  since: Sums;
  /** What of all turnover until now belongs to later periods. */
  later: Sums;
  /** The statement before, or for a first one where the books stood at the period's beginning. */
  before: { closing: bigint; later: Sums };
}

/** Amounts in micro-credits: opening + credits - consumption - expiry + other = closing. */
export interface Statement {
  opening: bigint;
  credits: bigint;
  consumption: bigint;
  expiry: bigint;
  other: bigint;
  closing: bigint;
  creditsBySource: { type: string; source: string; amount: bigint }[];
  otherByType: { type: string; amount: bigint }[];
}

const nameOf = ({ type, source }: Turnover): string => (source === null ? type : `${type} ${source}`);

/** Turnover as sums by name. */
export function sumsOf(turnover: readonly Turnover[]): Sums {
  const sums: Sums = {};
  for (const part of turnover) sums[nameOf(part)] = (sums[nameOf(part)] ?? 0n) + part.amount;
  return sums;
}

export const total = (sums: Sums): bigint => Object.values(sums).reduce((sum, amount) => sum + amount, 0n);

/** a + b - c, name by name; what is nothing is left out. */
function combine(a: Sums, b: Sums, c: Sums): Sums {
  const names = new Set([a, b, c].flatMap(Object.keys));
  const all = [...names].sort().map((name): [string, bigint] => [name, (a[name] ?? 0n) + (b[name] ?? 0n) - (c[name] ?? 0n)]);
  return Object.fromEntries(all.filter(([, amount]) => amount !== 0n));
}

/**
 * Draws up a statement. What belongs to a period is what was posted since the statement before, plus what had been posted then but was
 * put off as later, less what belongs to later periods now: so each transfer is on exactly one statement, whenever statements are written.
 * Throws when the books do not come out even: then nothing may be written.
 */
export function drawUp({ balance, since, later, before }: Ground): Statement {
  const sums = combine(since, before.later, later);
  const { CONSUMPTION: consumed = 0n, EXPIRY: expired = 0n, ...rest } = sums;
  const named = Object.entries(rest).map(([name, amount]) => {
    const [type = "", source] = name.split(" ");
    return { type, source, amount };
  });
  const creditsBySource = named.flatMap(({ type, source, amount }) => (source === undefined ? [] : [{ type, source, amount }]));
  const otherByType = named.flatMap(({ type, source, amount }) => (source === undefined ? [{ type, amount }] : []));
  const sum = (list: readonly { amount: bigint }[]) => list.reduce((whole, { amount }) => whole + amount, 0n);
  const statement = {
    opening: before.closing,
    credits: sum(creditsBySource),
    consumption: -consumed,
    expiry: -expired,
    other: sum(otherByType),
    closing: balance - total(later),
    creditsBySource,
    otherByType,
  };
  const { opening, credits, consumption, expiry, other, closing } = statement;
  if (opening + credits - consumption - expiry + other !== closing) {
    throw new Error(
      `a statement does not come out even: ${opening} + ${credits} - ${consumption} - ${expiry} + ${other} is not ${closing}`,
    );
  }
  return statement;
}
