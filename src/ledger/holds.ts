import { createAside, Waits } from "../platform/aside.ts";
import { createBatcher } from "../platform/batcher.ts";
import { aroundLocked } from "../platform/locked.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics } from "../platform/metrics.ts";
import { inTransaction, isConnectionError, isLockTimeout, type Pool } from "../platform/postgres.ts";
import { within } from "../platform/within.ts";
import { checkBudget, checkCounts, createBudgetOpener, type SpentSince } from "./budgets.ts";
import { holdStatement, type Answer, type AuthorizedRow } from "./holdStatement.ts";
import { createHoldMetrics, type HoldMetrics } from "./metrics.ts";
import { createReleasing } from "./releasing.ts";
import { unlocked } from "./settle.ts";
import { list } from "./sql.ts";
import type { HoldOutcome, HoldRequest, Owing, SweptHold } from "./types.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const MAX_AMOUNT = 10n ** 18n;

/** A batch that Postgres has not answered by then, the second attempt included, is given up: the relay refuses rather than lets a caller wait. */
const ANSWER_WITHIN_MS = 3_000;

interface HoldRow {
  id: string;
  wallet_id: bigint;
  amount: bigint;
  owner: string;
  expires_at: Date;
}

/** Making, renewing and releasing holds; authorize and release go to Postgres by group commit. */
export function createHolds(deps: { pool: Pool; log: Logger; spentSince?: SpentSince | undefined; metrics?: HoldMetrics }) {
  const { pool, log, metrics = createHoldMetrics(createMetrics()) } = deps;
  const releasing = createReleasing({ pool, log, metrics });
  const openBudget = createBudgetOpener(deps);
  const free = (wallets: readonly bigint[]) => unlocked(pool, wallets);

  /** Those whose wallets somebody keeps locked stand by their own from then on. */
  const aside = createAside<HoldRequest, Answer, bigint>({
    free,
    run: authorizeFree,
    waitMs: ANSWER_WITHIN_MS,
    late: noAnswer,
  });
  const authorizing = createBatcher<HoldRequest, Answer | Waits<bigint>>({
    run: async (batch) => (aside.size === 0 ? authorizeFree(batch) : authorizeBeside(batch)),
    maxBatch: 500,
    lanes: 2,
    onBatch: metrics.committed("authorize"),
  });

  async function ask(batch: readonly HoldRequest[], deadline: number): Promise<Answer[]> {
    const statement = holdStatement(batch, { patient: true });
    const attempt = () => {
      const timed = { ...statement.query, query_timeout: Math.max(1, deadline - Date.now()) };
      return by(deadline, () => pool.query<AuthorizedRow>(timed));
    };
    try {
      // Asking again is safe, for the ids make it the same question, and finds a connection that is not broken.
      const { rows } = await attempt().catch((error: unknown) => {
        if (!isConnectionError(error) || Date.now() >= deadline) throw error;
        return attempt();
      });
      return statement.answers(rows[0]!);
    } catch (error) {
      // The batch may have been committed before the connection went: nobody will use these holds.
      if (!(error as { severity?: unknown }).severity || isConnectionError(error)) releasing.later(batch.map((hold) => hold.id));
      throw error;
    }
  }

  /** Answers of a batch, but for those whose wallets somebody keeps locked. */
  async function authorizeFree(batch: readonly HoldRequest[]): Promise<(Answer | Waits<bigint>)[]> {
    const deadline = Date.now() + ANSWER_WITHIN_MS;
    const run = (part: readonly HoldRequest[]): Promise<Answer[]> =>
      ask(part, deadline).catch((error: unknown) => {
        // What is asked in parts is refused in parts: the others' holds are made.
        if (part === batch || isLockTimeout(error)) throw error;
        return part.map(() => error as Error);
      });
    return aroundLocked(batch, { keyOf: ({ walletId }) => walletId, run, free });
  }

  async function authorizeBeside(batch: readonly HoldRequest[]): Promise<(Answer | Waits<bigint>)[]> {
    const others = batch.filter(({ walletId }) => !aside.waitsFor(walletId));
    const answers = others.length === 0 ? [] : await authorizeFree(others);
    const given = new Map(others.map((hold, n) => [hold, answers[n]!]));
    return batch.map((hold) => given.get(hold) ?? new Waits([hold.walletId]));
  }

  async function authorizeOne(hold: HoldRequest): Promise<Answer> {
    const answer = await authorizing.add(hold);
    return answer instanceof Waits ? aside.add(hold, answer.keys) : answer;
  }

  return {
    async authorize(hold: HoldRequest): Promise<HoldOutcome> {
      // Checked here, because one bad value would fail the whole batch.
      if (!UUID.test(hold.id)) throw new TypeError(`a hold's id must be a UUID, not ${hold.id}`);
      if (hold.amount < 0n || hold.amount > MAX_AMOUNT) throw new RangeError(`a hold cannot be ${hold.amount}`);
      hold.budgets?.forEach(checkBudget);
      checkCounts(hold);
      let outcome = await authorizeOne(hold);
      if (!(outcome instanceof Error) && outcome.kind === "unopened") {
        const { budgets } = outcome;
        await by(Date.now() + ANSWER_WITHIN_MS, () => Promise.all(budgets.map(openBudget)));
        outcome = await authorizeOne(hold);
      }
      if (!(outcome instanceof Error) && outcome.kind === "unopened") {
        throw new Error(`the budgets of hold ${hold.id} could not be opened`);
      }
      metrics.decided(outcome);
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },

    async extend(ids: string[], ttlMs: number): Promise<string[]> {
      if (ids.length === 0) return [];
      const { rows } = await pool.query<{ id: string }>({
        name: "ledger_extend",
        text: "SELECT ledger_extend($1, $2) AS id",
        values: [list(ids), Math.ceil(ttlMs)],
      });
      return rows.map((row) => row.id);
    },

    async stillHeld(ids: readonly string[]): Promise<string[]> {
      const { rows } = await pool.query<{ id: string }>(
        "SELECT id FROM ledger_holds WHERE id = ANY ($1::uuid[]) AND state = 'held' AND expires_at > now() AND expires_at < 'infinity'",
        [ids],
      );
      return rows.map((row) => row.id);
    },

    async release(ids: string[]): Promise<void> {
      if (ids.length === 0) return;
      await releasing.release(ids);
      metrics.released(ids.length);
    },

    async sweep(now?: Date, limit = 1_000, owing?: Owing): Promise<SweptHold[]> {
      const rows = await inTransaction(pool, async (tx) => {
        // The database's clock unless told otherwise: it is the one that set the expiry.
        const found = await tx.query<{ ids: string[] }>("SELECT ledger_expired_holds(coalesce($1, now()), $2) AS ids", [
          now ?? null,
          limit,
        ]);
        const { ids } = found.rows[0]!;
        if (ids.length === 0) return [];
        const kept = (await owing?.(tx, ids)) ?? [];
        if (kept.length > 0) await tx.query("SELECT ledger_pin_holds($1)", [kept]);
        const swept = await tx.query<HoldRow>("SELECT * FROM ledger_sweep_holds($1, coalesce($2, now()))", [ids, now ?? null]);
        return swept.rows;
      });
      const swept = rows.map((row) => ({
        id: row.id,
        walletId: row.wallet_id,
        amount: row.amount,
        owner: row.owner,
        expiredAt: row.expires_at,
      }));
      metrics.swept(swept);
      return swept;
    },

    async forget(before: Date, limit = 10_000): Promise<number> {
      const { rows } = await pool.query<{ forgotten: bigint }>("SELECT ledger_forget_holds($1, $2) AS forgotten", [before, limit]);
      return Number(rows[0]!.forgotten);
    },

    async close(): Promise<void> {
      await authorizing.idle();
      await aside.idle();
      await releasing.close();
    },
  };
}

const noAnswer = (): Error => Object.assign(new Error("Postgres has not answered in time"), { code: "ETIMEDOUT" });

/** What `ask` answers, or a connection error at the deadline: waiting for a connection takes time too. */
const by = <T>(deadline: number, ask: () => Promise<T>): Promise<T> => within(Math.max(0, deadline - Date.now()), ask(), noAnswer);
