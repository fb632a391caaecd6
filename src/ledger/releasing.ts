import { createAside, Waits } from "../platform/aside.ts";
import { createBatcher } from "../platform/batcher.ts";
import { appError } from "../platform/errors.ts";
import { aroundLocked, patiently } from "../platform/locked.ts";
import type { Logger } from "../platform/logger.ts";
import { isConnectionError, isLockTimeout, type Pool } from "../platform/postgres.ts";
import { createLateRelease } from "./late-release.ts";
import type { HoldMetrics } from "./metrics.ts";
import { unlocked } from "./settle.ts";
import { list } from "./sql.ts";

/** After this a release waits no longer for a wallet that somebody keeps locked: it is made later. */
const RELEASE_WITHIN_MS = 3_000;

interface OpenHold {
  id: string;
  walletId: bigint;
}

/** Releasing holds, by group commit; a wallet that somebody keeps locked holds up no other's. What cannot be released now is released later. */
export function createReleasing({ pool, log, metrics }: { pool: Pool; log: Logger; metrics: HoldMetrics }) {
  const late = createLateRelease({ log, release: async (ids) => (await close(ids)).map(({ id }) => id) });
  const free = (wallets: readonly bigint[]) => unlocked(pool, wallets);

  async function closeAll(ids: readonly string[]): Promise<void> {
    const text = `SELECT FROM ${patiently("ledger_close_holds", "uuid[]", "'released', NULL")}`;
    await pool.query({ name: "ledger_release", text, values: [list(ids)] });
  }

  async function closeEach(holds: readonly OpenHold[]): Promise<(OpenHold | undefined)[]> {
    const run = async (some: readonly OpenHold[]) => {
      await closeAll(some.map(({ id }) => id));
      return some.map(() => undefined);
    };
    const answers = await aroundLocked<OpenHold, undefined, bigint>(holds, { keyOf: ({ walletId }) => walletId, run, free });
    return answers.map((answer, n) => (answer instanceof Waits ? holds[n] : undefined));
  }

  /** Answers the holds whose wallets somebody keeps locked. */
  async function close(ids: readonly string[]): Promise<OpenHold[]> {
    try {
      await closeAll(ids);
      return [];
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
    }
    const { rows } = await pool.query<{ id: string; wallet_id: bigint }>(
      "SELECT id, wallet_id FROM ledger_holds WHERE id = ANY ($1::uuid[])",
      [ids],
    );
    const left = await closeEach(rows.map(({ id, wallet_id }) => ({ id, walletId: wallet_id })));
    return left.flatMap((hold) => hold ?? []);
  }

  const aside = createAside<OpenHold, undefined, bigint>({
    free,
    waitMs: RELEASE_WITHIN_MS,
    late: () => appError("unavailable", { message: "The wallet is busy" }),
    run: async (holds) => (await closeEach(holds)).map((left) => (left ? new Waits([left.walletId]) : undefined)),
  });

  const batcher = createBatcher<string[], readonly OpenHold[]>({
    maxBatch: 500,
    onBatch: metrics.committed("release"),
    async run(batch) {
      const ids = batch.flat();
      try {
        const left = await close(ids);
        return batch.map((asked) => (left.length === 0 ? left : left.filter(({ id }) => asked.includes(id))));
      } catch (error) {
        if (!isConnectionError(error)) throw error;
        late.add(ids);
      }
      return batch.map(() => []);
    },
  });

  return {
    /** Holds of which nobody knows whether they were made. */
    later: (ids: string[]): void => late.add(ids),
    async release(ids: string[]): Promise<void> {
      const left = await batcher.add(ids);
      for (const answer of left.map((hold) => ({ hold, released: aside.add(hold, [hold.walletId]) }))) {
        if ((await answer.released) instanceof Error) late.add([answer.hold.id]);
      }
    },
    async close(): Promise<void> {
      await batcher.idle();
      await aside.idle();
      await late.close();
    },
  };
}
