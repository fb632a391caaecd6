/** What is asked of holds and budgets, and what they answer. Every amount is a bigint. */

/** A counter of what was spent and is held by whom in what period. */
export interface BudgetName {
  /** Whose it is: `key:<uuid>`, `user:<uuid>`, `token:<uuid>`. */
  id: string;
  /**
   * What it counts: `total`, a day `d:2026-11-21`, a month `m:2026-11`, or `to:2026-11-22` for all until that day, when it ends. Of a
   * quota `qr:2026-11-30T16:00Z` (requests), `qt:` (tokens) or `qc:` (credits) until that moment.
   */
  period: string;
}

/** What a budget counts: micro-credits, or hundredths of requests or tokens. */
export type BudgetUnit = "credits" | "requests" | "tokens";

/** A spend limit that a call counts on beside its wallet. */
export interface Budget extends BudgetName {
  limit: bigint;
  /** Credits unless told. */
  unit?: BudgetUnit;
  /** When the period began, if something may have been spent in it before it was limited. */
  since?: Date;
  /** When the period ends, of a quota. */
  resetsAt?: Date;
  /** What requests and tokens of models count, in percent, where it is not as usual: for what was used before it was limited. */
  weights?: Readonly<Record<string, number>>;
}

/** What a budget's counter says. */
export interface BudgetState {
  spent: bigint;
  /** What running calls may still spend. */
  held: bigint;
}

/** What one call counts on budgets that are not of credits, weighted, in hundredths. */
export interface HoldCounts {
  requests: bigint;
  /** The most tokens it may use. */
  tokens: bigint;
  /** When budgets leave less than `tokens` but at least this much, exactly what they leave is held. */
  leastTokens?: bigint;
}

export interface HoldRequest {
  /** A UUID, and the idempotency key: the same id again gets the first answer. */
  id: string;
  walletId: bigint;
  amount: bigint;
  /** When the amount is not covered but at least this much is available, exactly what is available is held. */
  minAmount?: bigint;
  /** Limits beside the wallet, each by its own counter, in which the hold and what is charged for it count. Each at most once. */
  budgets?: readonly Budget[];
  /** What the call counts on budgets of requests and tokens; needed when there are such. */
  counts?: HoldCounts;
  /** Who renews the hold, for the incident if nobody does. */
  owner: string;
  ttlMs: number;
}

/** A hold of nothing, for what is charged late: it counts on the budgets of an earlier call. */
export interface LateHold extends Pick<HoldRequest, "id" | "walletId"> {
  /** Holds or settled items of which the first that is known says which budgets; two at most. */
  of: readonly string[];
  /** What it counts on budgets of tokens, in hundredths; null when nobody knows. */
  tokens: number | null;
}

export interface LateHolds {
  /** All that the transaction is to charge. */
  wallets: readonly bigint[];
  patienceMs?: number | undefined;
}

/** A hold that is only looked at. */
export type HoldLook = Pick<HoldRequest, "walletId" | "amount" | "minAmount" | "budgets" | "counts">;

export type HoldOutcome =
  /**
   * `available`: what the wallet has left after this hold and those made together with it. `tokens`: what budgets of tokens leave the
   * call, when that may be less than it asked for.
   */
  | { kind: "held"; amount: bigint; available: bigint; tokens?: bigint }
  | {
      kind: "refused";
      /** `insufficient_balance`: the wallet is too empty. `balance_on_hold`: it has enough, but other calls hold it. */
      reason: "insufficient_balance" | "balance_on_hold";
      available: bigint;
      total: bigint;
      shortfall: bigint;
      /** What the wallet owes, when it does: nothing is held on it until that is paid. Part of the shortfall. */
      owed?: bigint;
    }
  | {
      kind: "refused";
      /** `spend_limit_reached`: the budget was spent. `spend_limit_on_hold`: it has enough left, but other calls hold it. */
      reason: "spend_limit_reached" | "spend_limit_on_hold";
      budget: Budget & BudgetState;
      shortfall: bigint;
    };
