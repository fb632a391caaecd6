import type { Ledger, WalletState } from "../../ledger/index.ts";
import { inTransaction, type Pool, type PoolClient, type Queryable } from "../../platform/postgres.ts";
import * as repository from "./repository.ts";
import type { DuePeriod, NewStatement } from "./repository.ts";
import { drawUp, sumsOf, total, type Sums } from "./statement.ts";

/** What calls of a model used and cost. */
interface ModelUse {
  model: string;
  requests: bigint;
  failed: bigint;
  tokens: bigint;
  cost: bigint;
}

/** What statements ask the domain that keeps calls. */
export interface CallBooks {
  /** Of settled calls that began in a span, by model, in the order asked. */
  usedByModel(tx: Queryable, asked: readonly { userId: string; from: Date; until: Date }[]): Promise<ModelUse[][]>;
  /** What was taken from wallets for settled calls that began at a moment or later. */
  paidSince(tx: Queryable, asked: readonly { userId: string; at: Date }[]): Promise<bigint[]>;
  /** Whose calls from before a moment are recorded but not settled. */
  unsettledBefore(tx: Queryable, asked: readonly { userId: string; before: Date }[]): Promise<Set<string>>;
}

export interface StatementDeps {
  pool: Pool;
  ledger: Pick<Ledger, "expireWallets" | "turnoverAfter" | "turnoverSince" | "holdingSince">;
  calls: CallBooks;
  graceMs: number;
  /** How long a period that is not ready is left alone. */
  putOffMs?: number;
}

const PUT_OFF_MS = 300_000;
/** So long, at most, a statement waits for expired credit that calls of the next period keep held. What is left of it is on the next one. */
const EXPIRY_PATIENCE_MS = 86_400_000;

/**
 * Writes up to `limit` statements that are due, of each user the oldest. One whose period's calls still run, or wait to be settled, is put
 * off: what a call costs is on the statement of the period in which it began. Wallets are locked meanwhile, so that what is read of ledger
 * and calls is of one moment.
 */
export async function writeBatch(deps: StatementDeps, now: Date, limit: number): Promise<{ written: number; putOff: number }> {
  return inTransaction(deps.pool, async (tx) => {
    const due = await repository.takeUnstated(tx, now, limit);
    if (due.length === 0) return { written: 0, putOff: 0 };
    const wallets = new Map(
      (
        await deps.ledger.expireWallets(
          tx,
          due.map(({ wallet_id }) => wallet_id),
          now,
        )
      ).map((wallet) => [wallet.walletId, wallet]),
    );
    const waits = await waiting(deps, tx, due, wallets, now);
    const ready = due.filter((period) => !waits(period));
    const waited = due.filter(waits);
    if (waited.length > 0) await repository.putOff(tx, waited, new Date(now.getTime() + (deps.putOffMs ?? PUT_OFF_MS)));
    if (ready.length > 0) await repository.insertStatements(tx, await statementsOf(deps, tx, ready, wallets));
    return { written: ready.length, putOff: waited.length };
  });
}

async function waiting(
  { ledger, calls, graceMs }: StatementDeps,
  tx: PoolClient,
  due: readonly DuePeriod[],
  wallets: ReadonlyMap<bigint, WalletState>,
  now: Date,
): Promise<(period: DuePeriod) => boolean> {
  const holding = await ledger.holdingSince(
    tx,
    due
      .filter(({ wallet_id }) => wallets.get(wallet_id)!.held > 0n)
      .map(({ wallet_id: walletId, ends_at }) => ({ walletId, before: new Date(ends_at.getTime() + graceMs) })),
  );
  const unsettled = await calls.unsettledBefore(
    tx,
    due.map(({ user_id: userId, ends_at: before }) => ({ userId, before })),
  );
  const unexpired = ({ wallet_id, ends_at }: DuePeriod) => {
    const { nextExpiry } = wallets.get(wallet_id)!;
    return nextExpiry !== null && nextExpiry <= ends_at && now.getTime() < ends_at.getTime() + EXPIRY_PATIENCE_MS;
  };
  return (period) => holding.has(period.wallet_id) || unsettled.has(period.user_id) || unexpired(period);
}

/** What of the turnover of wallets until now belongs to the time from a moment on. */
async function laterOf(
  { ledger, calls }: Pick<StatementDeps, "ledger" | "calls">,
  tx: PoolClient,
  asked: readonly { userId: string; walletId: bigint; at: Date }[],
): Promise<Sums[]> {
  if (asked.length === 0) return [];
  const [turnover, paid] = [await ledger.turnoverSince(tx, asked), await calls.paidSince(tx, asked)];
  return turnover.map((list, n) => sumsOf([...list, { type: "CONSUMPTION", source: null, amount: -paid[n]! }]));
}

async function statementsOf(
  deps: StatementDeps,
  tx: PoolClient,
  periods: readonly DuePeriod[],
  wallets: ReadonlyMap<bigint, WalletState>,
): Promise<NewStatement[]> {
  const { ledger, calls } = deps;
  const known = await repository.statementsBefore(tx, periods);
  const asked = periods.map(({ user_id: userId, wallet_id: walletId, starts_at, ends_at }) => ({
    userId,
    walletId,
    starts_at,
    at: ends_at,
  }));
  const later = await laterOf(deps, tx, asked);
  const first = asked.filter(({ userId }) => !known.has(userId)).map((one) => ({ ...one, at: one.starts_at }));
  const fromStart = await laterOf(deps, tx, first);
  const atStart = new Map(first.map(({ userId }, n) => [userId, fromStart[n]!]));
  const since = await ledger.turnoverAfter(
    tx,
    asked.map(({ userId, walletId }) => ({ walletId, seq: known.get(userId)?.lastSeq ?? wallets.get(walletId)!.lastSeq })),
  );
  const used = await calls.usedByModel(
    tx,
    periods.map(({ user_id: userId, starts_at: from, ends_at: until }) => ({ userId, from, until })),
  );
  return periods.map((period, n): NewStatement => {
    const { balance, lastSeq } = wallets.get(period.wallet_id)!;
    const begun = atStart.get(period.user_id);
    const before = begun ? { closing: balance - total(begun), later: begun } : known.get(period.user_id)!;
    const { creditsBySource, otherByType, ...sums } = drawUp({ balance, since: sumsOf(since[n]!), later: later[n]!, before });
    return {
      ...period,
      ...sums,
      credits_by_source: texts(creditsBySource),
      other_by_type: texts(otherByType),
      consumption_by_model: byModel(used[n]!, sums.consumption),
      last_seq: lastSeq,
      later: Object.fromEntries(Object.entries(later[n]!).map(([name, amount]) => [name, amount.toString()])),
    };
  });
}

const texts = <T extends { amount: bigint }>(list: readonly T[]) => list.map((one) => ({ ...one, amount: one.amount.toString() }));

/** The calls of the period by model; what was paid beyond them, or is owed for them, is a line of its own without a model. */
function byModel(used: readonly ModelUse[], consumption: bigint): NewStatement["consumption_by_model"] {
  const rest = consumption - used.reduce((sum, { cost }) => sum + cost, 0n);
  const none = { model: null, requests: 0n, failed: 0n, tokens: 0n, cost: rest };
  return [...used, ...(rest === 0n ? [] : [none])].map(({ model, requests, failed, tokens, cost }) => ({
    model,
    requests: requests.toString(),
    failed: failed.toString(),
    tokens: tokens.toString(),
    cost: cost.toString(),
  }));
}
