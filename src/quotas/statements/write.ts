import type { Ledger, WalletState } from "../../ledger/index.ts";
import { inTransaction, isSerializationFailure, type Pool, type PoolClient, type Queryable } from "../../platform/postgres.ts";
import * as repository from "./repository.ts";
import type { DuePeriod, NewStatement } from "./repository.ts";
import { drawUp, sumsOf, total, type Sums } from "./statement.ts";
import { waiting } from "./waiting.ts";

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
  ledger: Pick<Ledger, "expireWallets" | "walletStates" | "turnoverAfter" | "turnoverSince" | "holdingSince">;
  calls: CallBooks;
  graceMs: number;
  /** How long a period that is not ready is left alone. */
  putOffMs?: number;
}

const PUT_OFF_MS = 300_000;
const EXPIRED_AT_ONCE = 20;
const TRIES = 20;

/** What became of a batch of periods whose statements were due. */
export interface Stated {
  written: number;
  putOff: number;
  /** Those whose credit has expired only now: their statements are next. */
  expired: number;
}

/**
 * Writes up to `limit` statements that are due, of each user the oldest. One whose period's calls still run, or wait to be settled, is put
 * off: what a call costs is on the statement of the period in which it began. No wallet is locked: all that is read of ledger and calls is
 * of one moment because the transaction sees one moment only.
 */
export async function writeBatch(deps: StatementDeps, now: Date, limit: number): Promise<Stated> {
  for (let tries = 1; ; tries++) {
    try {
      const { stated, toExpire } = await writeOnce(deps, now, limit);
      await expire(deps, toExpire, now);
      return stated;
    } catch (error) {
      // Somebody else has written one of them since the moment that is seen here.
      if (!isSerializationFailure(error) || tries >= TRIES) throw error;
    }
  }
}

/** Takes out what has expired, of few wallets at a time: calls on them wait meanwhile. */
async function expire({ pool, ledger }: StatementDeps, wallets: readonly bigint[], now: Date): Promise<void> {
  for (let n = 0; n < wallets.length; n += EXPIRED_AT_ONCE) {
    await inTransaction(pool, (tx) => ledger.expireWallets(tx, wallets.slice(n, n + EXPIRED_AT_ONCE), now));
  }
}

async function writeOnce(deps: StatementDeps, now: Date, limit: number): Promise<{ stated: Stated; toExpire: bigint[] }> {
  return inTransaction(deps.pool, async (tx) => {
    await tx.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    const due = await repository.takeUnstated(tx, now, limit);
    if (due.length === 0) return { stated: { written: 0, putOff: 0, expired: 0 }, toExpire: [] };
    const states = await deps.ledger.walletStates(
      tx,
      due.map(({ wallet_id }) => wallet_id),
    );
    const wallets = new Map(states.map((wallet) => [wallet.walletId, wallet]));
    const expiring = new Set(
      states
        .filter(({ nextExpiry, balance, held }) => nextExpiry !== null && nextExpiry <= now && balance > held)
        .map(({ walletId }) => walletId),
    );
    const expiresNow = ({ wallet_id }: DuePeriod) => expiring.has(wallet_id) && wallets.get(wallet_id)!.held === 0n;
    const later = due.filter((period) => !expiresNow(period));
    const waits = await waiting(deps, tx, later, wallets, now);
    const ready = later.filter((period) => !waits(period));
    const waited = later.filter(waits);
    if (waited.length > 0) await repository.putOff(tx, waited, new Date(now.getTime() + (deps.putOffMs ?? PUT_OFF_MS)));
    if (ready.length > 0) await repository.insertStatements(tx, await statementsOf(deps, tx, ready, wallets));
    return {
      stated: { written: ready.length, putOff: waited.length, expired: due.length - later.length },
      toExpire: [...expiring],
    };
  });
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
