import { createBatcher } from "../platform/batcher.ts";
import { appError } from "../platform/errors.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics } from "../platform/metrics.ts";
import { inTransaction, isConnectionError, type Pool } from "../platform/postgres.ts";
import { within } from "../platform/within.ts";
import { checkBudget, checkCounts, createBudgetOpener, gatherBudgets, type BatchBudgets, type SpentSince } from "./budgets.ts";
import { createLateRelease } from "./late-release.ts";
import { createHoldMetrics, type HoldMetrics } from "./metrics.ts";
import { decideHold, least } from "./rules.ts";
import { list } from "./sql.ts";
import type { Budget, HoldOutcome, HoldRequest, Owing, SweptHold } from "./types.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const MAX_AMOUNT = 10n ** 18n;

/** A batch that Postgres has not answered by then, the second attempt included, is given up: the relay refuses rather than lets a caller wait. */
const ANSWER_WITHIN_MS = 3_000;

interface AuthorizedRow {
  kinds: ("held" | "refused" | "closed" | "conflict" | "unknown")[] | null;
  amounts: (string | null)[];
  availables: (string | null)[];
  totals: (string | null)[];
  spents: (string | null)[];
  helds: (string | null)[];
  counts: (string | null)[];
  wallets: string[];
  lefts: string[];
  shortfalls: (string | null)[];
}

/** Budgets that have no counter yet: it is to be opened, and the hold asked for again. */
interface Unopened {
  kind: "unopened";
  budgets: Budget[];
}

type Answer = HoldOutcome | Unopened | Error;

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
  const late = createLateRelease({ release: closeNow, log });
  const openBudget = createBudgetOpener(deps);

  const authorizing = createBatcher<HoldRequest, Answer>({
    run: authorizeBatch,
    maxBatch: 500,
    lanes: 2,
    onBatch: metrics.committed("authorize"),
  });
  const releasing = createBatcher<string[], undefined>({
    maxBatch: 500,
    onBatch: metrics.committed("release"),
    async run(batch) {
      const ids = batch.flat();
      try {
        await closeNow(ids);
      } catch (error) {
        if (!isConnectionError(error)) throw error;
        late.add(ids);
      }
      return batch.map(() => undefined);
    },
  });

  async function closeNow(ids: string[]): Promise<void> {
    await pool.query({ name: "ledger_release", text: "SELECT FROM ledger_close_holds($1, 'released', NULL)", values: [list(ids)] });
  }

  async function authorizeBatch(batch: HoldRequest[]): Promise<Answer[]> {
    const limited = gatherBudgets(batch);
    const query = {
      name: "ledger_hold",
      text: "SELECT * FROM ledger_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
      values: [
        list(batch.map((hold) => hold.id)),
        list(batch.map((hold) => hold.walletId)),
        list(batch.map((hold) => hold.amount)),
        list(batch.map((hold) => hold.minAmount ?? "NULL")),
        batch.map((hold) => hold.owner),
        list(batch.map((hold) => Math.ceil(hold.ttlMs))),
        ...limited.values,
      ],
    };
    const deadline = Date.now() + ANSWER_WITHIN_MS;
    const attempt = () => {
      const timed = { ...query, query_timeout: Math.max(1, deadline - Date.now()) };
      return by(deadline, () => pool.query<AuthorizedRow>(timed));
    };
    try {
      // Asking again is safe, for the ids make it the same question, and finds a connection that is not broken.
      const { rows } = await attempt().catch((error: unknown) => {
        if (!isConnectionError(error) || Date.now() >= deadline) throw error;
        return attempt();
      });
      return answers(batch, limited, rows[0]!);
    } catch (error) {
      // The batch may have been committed before the connection went: nobody will use these holds.
      if (!(error as { severity?: unknown }).severity || isConnectionError(error)) late.add(batch.map((hold) => hold.id));
      throw error;
    }
  }

  return {
    async authorize(hold: HoldRequest): Promise<HoldOutcome> {
      // Checked here, because one bad value would fail the whole batch.
      if (!UUID.test(hold.id)) throw new TypeError(`a hold's id must be a UUID, not ${hold.id}`);
      if (hold.amount < 0n || hold.amount > MAX_AMOUNT) throw new RangeError(`a hold cannot be ${hold.amount}`);
      hold.budgets?.forEach(checkBudget);
      checkCounts(hold);
      let outcome = await authorizing.add(hold);
      if (!(outcome instanceof Error) && outcome.kind === "unopened") {
        const { budgets } = outcome;
        await by(Date.now() + ANSWER_WITHIN_MS, () => Promise.all(budgets.map(openBudget)));
        outcome = await authorizing.add(hold);
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
        "SELECT id FROM ledger_holds WHERE id = ANY ($1::uuid[]) AND state = 'held' AND expires_at > now()",
        [ids],
      );
      return rows.map((row) => row.id);
    },

    async release(ids: string[]): Promise<void> {
      if (ids.length === 0) return;
      await releasing.add(ids);
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
      await releasing.idle();
      await late.close();
    },
  };
}

/** What `ask` answers, or a connection error at the deadline: waiting for a connection takes time too. */
const by = <T>(deadline: number, ask: () => Promise<T>): Promise<T> =>
  within(Math.max(0, deadline - Date.now()), ask(), () =>
    Object.assign(new Error("Postgres has not answered in time"), { code: "ETIMEDOUT" }),
  );

function answers(batch: HoldRequest[], { budgets }: BatchBudgets, row: AuthorizedRow): Answer[] {
  const { kinds } = row;
  if (kinds === null) return allHeld(batch, row);
  let place = 0;
  return batch.map((hold, i) => {
    const from = place;
    place += hold.budgets?.length ?? 0;
    switch (kinds[i]!) {
      case "held": {
        const outcome = { kind: "held" as const, amount: BigInt(row.amounts[i]!), available: BigInt(row.availables[i]!) };
        const counted = (hold.budgets ?? []).flatMap(({ unit }, n) => (unit === "tokens" ? [BigInt(row.counts[from + n]!)] : []));
        return counted.length === 0 ? outcome : { ...outcome, tokens: counted.reduce(least) };
      }
      case "refused": {
        const mine = budgets.slice(from, place);
        const missing = mine.filter((_, n) => row.spents[from + n] === null);
        if (missing.length > 0) return { kind: "unopened", budgets: missing };
        return decideHold(hold, {
          available: BigInt(row.availables[i]!),
          total: BigInt(row.totals[i]!),
          owed: BigInt(row.shortfalls[i]!),
          budgets: mine.map((budget, n) => ({ ...budget, spent: BigInt(row.spents[from + n]!), held: BigInt(row.helds[from + n]!) })),
        });
      }
      case "closed":
        return appError("invalid_state", { message: `The hold ${hold.id} is closed` });
      case "conflict":
        return appError("conflict", { message: `The hold ${hold.id} belongs to another wallet` });
      case "unknown":
        return appError("not_found", { message: "There is no such wallet" });
    }
  });
}

function allHeld(batch: HoldRequest[], { wallets, lefts }: AuthorizedRow): Answer[] {
  if (wallets.length === 1) {
    const available = BigInt(lefts[0]!);
    return batch.map(({ amount }) => ({ kind: "held", amount, available }));
  }
  const left = new Map(wallets.map((wallet, i) => [BigInt(wallet), BigInt(lefts[i]!)]));
  return batch.map(({ amount, walletId }) => ({ kind: "held", amount, available: left.get(walletId)! }));
}
