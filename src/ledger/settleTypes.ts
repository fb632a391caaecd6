import type { HoldOutcome, HoldRequest } from "./holdTypes.ts";

export interface SettleItem {
  /** The usage event's id: an item is settled exactly once by it. */
  id: string;
  /** Null for what never had a hold because it is known only now. */
  holdId: string | null;
  /** Of what has been used already and could not be capped: what the wallet does not cover of it is owed. By default what never had a hold. */
  owes?: boolean;
  walletId: bigint;
  cost: bigint;
  to: "revenue:usage" | "revenue:render";
  type: "CONSUMPTION";
  description: string;
  reference: string;
}

export interface SettleResult {
  id: string;
  charged: bigint;
  /** The rest of the cost that neither hold, tolerance nor balance covered. */
  uncharged: bigint;
  /** The rest of the cost of an item that owes it: the wallet's next credit pays it. */
  owed: bigint;
  balanceAfter: bigint;
  replayed: boolean;
  holdMissing: boolean;
}

/**
 * What another domain writes in the very statement that settles, so that what all charges share is locked for one statement alone: a function
 * of the database that is called with what each item costs its wallet, now or later, and what it does not (both bigint[], in the items'
 * order), then with `values`. It returns a number.
 */
export interface SettleFollow {
  call: string;
  values: readonly unknown[];
}

/** One piece of work that is charged out of the open hold of the whole. */
export interface PartItem extends Omit<SettleItem, "holdId"> {
  holdId: string;
  /** How long what is left is held at least. */
  ttlMs: number;
}

export type PartResult =
  /** What is left of the hold is held as `holdId`. */
  | { kind: "charged"; charged: bigint; balanceAfter: bigint; holdId: string; rest: bigint }
  /** It was charged before. */
  | { kind: "repeated"; charged: bigint; balanceAfter: bigint }
  /** Hold and wallet do not cover it together; nothing was charged. `rest` is what the hold holds. */
  | { kind: "refused"; shortfall: bigint; rest: bigint }
  /** The hold is not open. */
  | { kind: "missing" };

/** An open hold, and what is to be held in its place. `owner` and `budgets` as of the hold itself. */
export type HoldReplacement = Pick<HoldRequest, "walletId" | "amount" | "owner" | "budgets" | "ttlMs"> & { holdId: string };

export type Regrown =
  | { kind: "held"; holdId: string }
  | { kind: "refused"; reason: Extract<HoldOutcome, { kind: "refused" }>["reason"]; shortfall: bigint }
  | { kind: "missing" };
