import type { Queryable } from "../platform/postgres.ts";
import type { Budget, BudgetName, BudgetState, HoldLook, HoldOutcome, HoldRequest, LateHold, LateHolds } from "./holdTypes.ts";
import type { HoldReplacement, PartItem, PartResult, Regrown, SettleFollow, SettleItem, SettleResult } from "./settleTypes.ts";

export type * from "./holdTypes.ts";
export type * from "./settleTypes.ts";

/** Every amount is a bigint of micro-credits. */

export type GrantSource = "purchase" | "allowance" | "bonus" | "checkin" | "admin";

export type TransferType = "CHECKIN" | "CONSUMPTION" | "BONUS" | "PURCHASE" | "ADMIN" | "REFUND" | "ALLOWANCE" | "EXPIRY" | "TRANSFER";

export interface Credit {
  /** Idempotency key; unique among all transfers. */
  id: string;
  walletId: bigint;
  amount: bigint;
  /** Code of the system account that pays: "clearing:epay", "grants:welcome", "adjustments". Made on first use. */
  from: string;
  source: GrantSource;
  type: TransferType;
  /** Lower burns first; by default the source decides (see DEFAULT_PRIORITY). */
  priority?: number;
  expiresAt?: Date | null;
  description: string;
  reference?: string;
}

/** What is taken back of a credit in the statement that makes it, as far as it is there: holds and what the wallet owes come first. */
export interface Less {
  /** Idempotency key of its transfer. */
  id: string;
  /** No more than this; 0: nothing. */
  most: bigint;
  description: string;
}

/** What follows from a credit, in the same statement: a function in SQL, called with the balance, what was taken back, and `values`. */
export interface CreditFollow {
  call: string;
  values: readonly unknown[];
}

export interface CreditResult {
  transferId: string;
  /** The wallet's balance right after this transfer. */
  balance: bigint;
  replayed: boolean;
}

export interface Debit {
  /** Idempotency key; unique among all transfers. */
  id: string;
  walletId: bigint;
  amount: bigint;
  /** Code of the system account that receives. Made on first use. */
  to: string;
  type: TransferType;
  description: string;
  reference?: string;
  /** Id of the credit whose grant alone may be burned: a refund takes back what was bought, not what was given. */
  grantOf?: string;
}

export type DebitResult =
  | { kind: "ok"; transferId: string; balance: bigint; replayed: boolean }
  | { kind: "refused"; available: bigint; shortfall: bigint };

/** Credit of one grant that goes back, as far as it is still there. */
export interface TakeBack extends Omit<Debit, "amount" | "grantOf"> {
  grantOf: string;
  /** No more than this. */
  most: bigint;
}

export interface SweptHold {
  id: string;
  walletId: bigint;
  amount: bigint;
  owner: string;
  expiredAt: Date;
}

export interface Balance {
  total: bigint;
  held: bigint;
  available: bigint;
  /** What the wallet owes; its next credit pays that first. */
  shortfall: bigint;
  sources: { source: GrantSource; amount: bigint; expiresAt: Date | null }[];
}

export interface HistoryFilter {
  types?: TransferType[];
  /** Transfers about this thing: an order number, a usage event. */
  reference?: string;
  from?: Date;
  to?: Date;
}

export interface HistoryItem {
  id: string;
  type: TransferType;
  /** Positive when the wallet was credited, negative when it was debited, 0 when all of it is owed. */
  amount: bigint;
  /** What of a charge the wallet could not pay and owed from then on; an item of its own beside what it paid. */
  owed?: bigint;
  balanceAfter: bigint;
  description: string;
  reference: string | null;
  source: GrantSource | null;
  expiresAt: Date | null;
  createdAt: Date;
}

/** What a wallet could not pay of one settled item. */
export interface Shortfall {
  /** Of the settled item. */
  id: string;
  amount: bigint;
  collected: bigint;
  createdAt: Date;
  /** When the last of it was paid. */
  collectedAt: Date | null;
}

export interface Incident {
  id: bigint;
  kind: "hold_swept" | "hold_missing" | "uncharged";
  /** The hold's id for `hold_swept`, else the settled item's id. */
  reference: string;
  details: Record<string, unknown>;
  at: Date;
}

/** Which page of a list; `page` counts from 1. */
export interface Page {
  page: number;
  pageSize: number;
}

/** One thing that is not as the transfers say. Amounts are decimal credits. */
export interface Difference {
  check: string;
  /** What differs: an account's code, or a transfer's, grant's or trigger's name. */
  subject: string;
  expected: string;
  found: string;
}

export interface Proof {
  balanced: boolean;
  accounts: number;
  transfers: number;
  differences: Difference[];
}

/** A wallet as it is at one moment. */
export interface WalletState {
  walletId: bigint;
  balance: bigint;
  held: bigint;
  /** Its newest transfer; 0 before the first. */
  lastSeq: bigint;
  nextExpiry: Date | null;
}

/** A sum of what went in (positive, with its source) or out (negative). */
export interface Turnover {
  type: TransferType;
  source: GrantSource | null;
  amount: bigint;
}

/** Those of the holds that are still to be settled. */
export type Owing = (tx: Queryable, ids: readonly string[]) => Promise<string[]>;

/** The only thing that moves money. Methods without a `db` argument use the ledger's own pool, one transaction each. */
export interface Ledger {
  /** The wallet of a user or a team, opened on first use. Idempotent. `owner.id` is a UUID. */
  ensureWallet(db: Queryable, owner: { type: "user" | "team"; id: string }): Promise<bigint>;
  /** Credit that has expired but that no open hold needs is not counted, whether or not it has been taken out yet. */
  balance(walletId: bigint): Promise<Balance>;
  /** Once per id: the same id again gets the first result; with other content it throws `idempotency_mismatch`. */
  credit(db: Queryable, credit: Credit): Promise<CreditResult>;
  /**
   * The same, less what is taken back at once by the account that paid, and with what follows from it: one statement, so that nothing comes between the locks that
   * everybody shares and the commit. `balance` is what is left; `followed` what the function answered.
   */
  creditAnd(
    tx: Queryable,
    credit: Credit,
    more: { less: Less; follow: CreditFollow },
  ): Promise<CreditResult & { taken: bigint; followed: unknown }>;
  /** Credits many wallets in the caller's transaction, each once per id; answers the ids that were credited now. From one account, of one kind. */
  creditMany(tx: Queryable, credits: readonly Credit[]): Promise<string[]>;
  /** Takes out what has expired by `now` in the caller's transaction, which locks the wallets. */
  expireWallets(tx: Queryable, walletIds: readonly bigint[], now: Date): Promise<void>;
  /** How wallets are, without a lock. */
  walletStates(db: Queryable, walletIds: readonly bigint[]): Promise<WalletState[]>;
  /** What went in and out of wallets after a transfer (by its seq), by type and source, in the order asked. */
  turnoverAfter(tx: Queryable, asked: readonly { walletId: bigint; seq: bigint }[]): Promise<Turnover[][]>;
  /** What of it belongs to the time from a moment on, charges of calls left out; see turnover.ts. */
  turnoverSince(tx: Queryable, asked: readonly { walletId: bigint; at: Date }[]): Promise<Turnover[][]>;
  /** Those of the wallets on which a hold that was made before its moment is still open, and not of `except`. */
  holdingSince(tx: Queryable, asked: readonly { walletId: bigint; before: Date }[], except?: readonly string[]): Promise<Set<bigint>>;
  /** Once per id, like credit. Refused when balance - held does not cover it. */
  debit(db: Queryable, debit: Debit): Promise<DebitResult>;
  /**
   * Takes back what is left of one grant and no hold needs, up to `most`. `left` is what is left of it then, up to the rest: it may become
   * free when holds close. To be called in the transaction that notes what was taken: another call takes again.
   */
  takeBack(tx: Queryable, request: TakeBack): Promise<{ taken: bigint; left: bigint }>;
  /**
   * Credits a wallet several times at once, each once per id: from different accounts, which one after the other would lock in the wrong
   * order. To the same wallet.
   */
  creditTogether(tx: Queryable, credits: readonly Credit[]): Promise<void>;
  /**
   * Holds credit for a call. Rejects when Postgres cannot be reached; a hold that was made all the same is released later.
   * Never call it while the same caller's open transaction has touched the wallet: it would wait for itself.
   */
  authorize(hold: HoldRequest): Promise<HoldOutcome>;
  /** What a hold asked for now would be answered. Changes nothing. */
  look(hold: HoldLook): Promise<HoldOutcome>;
  /** What budgets have spent and held, in their order; one whose counter was never used, what it would begin with. */
  spending(budgets: readonly Budget[]): Promise<BudgetState[]>;
  /** Holds credit in the caller's transaction, which locks the wallet; see {@link Ledger.authorize} for what answers mean. */
  reserve(tx: Queryable, hold: HoldRequest): Promise<HoldOutcome>;
  /**
   * Opens holds of 0 for charges that the caller's transaction is to make, so that they count on the budgets of earlier calls, whatever these
   * leave. Answers the ids of those whose calls had budgets. To be called before {@link Ledger.foresee}; see lateHolds.ts.
   */
  holdLate(tx: Queryable, holds: readonly LateHold[], options: LateHolds): Promise<ReadonlySet<string>>;
  /**
   * Charges one piece of work out of an open hold in the caller's transaction, once per id, in full or not at all. Beyond the hold only
   * what the wallet has available is taken, and nothing when the hold counts on budgets: replace it by a larger one first.
   */
  settlePart(tx: Queryable, item: PartItem): Promise<PartResult>;
  /** Replaces an open hold by a larger or smaller one in the caller's transaction, when wallet and budgets cover it. */
  replaceHold(tx: Queryable, hold: HoldReplacement): Promise<Regrown>;
  /** Releases an open hold in the caller's transaction; one that is closed or unknown is ignored. */
  releaseWithin(tx: Queryable, holdId: string): Promise<void>;
  /** What an open hold holds; 0 when it is closed or unknown. */
  heldWithin(tx: Queryable, holdId: string): Promise<bigint>;
  /** Renews open holds to at least `ttlMs` from now. Returns the ids still held. */
  extend(ids: string[], ttlMs: number): Promise<string[]>;
  /** Those of these holds that are open, and whose owner lives as far as anybody knows. */
  stillHeld(ids: readonly string[]): Promise<string[]>;
  /** Releases open holds; ids that are closed or unknown are ignored. */
  release(ids: string[]): Promise<void>;
  /** Charges and closes holds inside the caller's transaction, exactly once by item id. One result per item, in order. */
  settle(tx: Queryable, items: readonly SettleItem[]): Promise<SettleResult[]>;
  /** The same and what follows from it in one statement, which is to be the transaction's last. */
  settleAnd(tx: Queryable, items: readonly SettleItem[], follow: SettleFollow): Promise<{ results: SettleResult[]; followed: number }>;
  /**
   * What settle will answer for these items later in this transaction. Locks their wallets and holds, but nothing that others share; so what
   * follows from charges can be written before they are made. Items that were settled before are left out. Rejects with a lock time-out
   * (isLockTimeout) when somebody keeps a wallet or hold locked for longer than `patienceMs`; without it, waits as long as it takes.
   */
  foresee(tx: Queryable, items: readonly SettleItem[], patienceMs?: number): Promise<SettleResult[]>;
  /** Those of these wallets that nobody has locked at this moment. */
  unlocked(walletIds: readonly bigint[]): Promise<ReadonlySet<bigint>>;
  /**
   * Releases holds that expired at least 15 s before `now` (the database's clock) and records each as an incident; in those 15 s an
   * owner who could not reach the database may still renew. It looks at up to `limit` holds at a time. Those that `owing` names, in
   * the same transaction, are still to be settled: they never expire from then on.
   */
  sweep(now?: Date, limit?: number, owing?: Owing): Promise<SweptHold[]>;
  /** Takes out credit that expired by `now` in up to `limit` wallets. Returns how many wallets lost credit. */
  expireGrants(now?: Date, limit?: number): Promise<number>;
  /** Deletes up to `limit` holds closed before `before`. Returns how many. */
  forgetHolds(before: Date, limit?: number): Promise<number>;
  /** What was held for these calls, by id; those whose hold is forgotten are missing. */
  heldFor(ids: readonly string[]): Promise<ReadonlyMap<string, bigint>>;
  /** What counters say, in the order of `names`; undefined for one that was never used. */
  budgets(names: readonly BudgetName[]): Promise<(BudgetState | undefined)[]>;
  /** Forgets up to `limit` counters whose period ended before `before`. Returns how many. Totals are never forgotten. */
  forgetBudgets(before: Date, limit?: number): Promise<number>;
  /** Those of these settled items of which something was or is owed. */
  shortfalls(ids: readonly string[], db?: Queryable): Promise<Shortfall[]>;
  /** Newest first. */
  history(walletId: bigint, filter: HistoryFilter, page: Page): Promise<{ items: HistoryItem[]; total: number }>;
  /** Newest first. */
  incidents(page: Page): Promise<{ items: Incident[]; total: number }>;
  /** Proves from one snapshot that every balance, hold and grant is what the transfers say, and names what is not. */
  verify(): Promise<Proof>;
  /** Waits until no hold is being made or released. */
  close(): Promise<void>;
}
