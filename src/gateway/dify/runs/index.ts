import { setTimeout as delay } from "node:timers/promises";
import type { Ledger } from "../../../ledger/index.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Metrics } from "../../../platform/metrics.ts";
import { inTransaction, type Pool, type PoolClient, type Queryable } from "../../../platform/postgres.ts";
import { owing, type HeldRuns } from "../../../usage/index.ts";
import { FIRST_LOOK_MS, FOLLOWED_MS, nextLook } from "./pace.ts";
import {
  countRuns,
  deleteRun,
  findRun,
  holdsOfRuns,
  runsHeldBy,
  updateDue,
  updateFollowed,
  updateLeft,
  upsertOpen,
  type CallTerms,
  type OpenRun,
  type RunName,
} from "./repository.ts";

export { deleteRun, lockRun, takeDue, updateLooked } from "./repository.ts";
export type { CallTerms, OpenRun, RunRow } from "./repository.ts";

/** What waits for Postgres tries so often, with these pauses. */
const PAUSES_MS = [200, 1_000, 3_000];

/**
 * Runs that an account pays for to their end, as the relay tells of them. None but {@link OpenRuns.follow} rejects: what could not be told
 * the worker finds out, for it asks Dify in the end.
 */
export interface OpenRuns {
  /** A run waits for a person: to be told before anybody can answer, for a run that is not noted is nobody's to charge. */
  paused(run: OpenRun, callId: string): Promise<void>;
  /** A run was left, and what it had used is recorded as it was counted: it is told to stop, but may go on all the same. */
  counted(run: OpenRun, callId: string): Promise<void>;
  /**
   * A call is about to let a run go on, or to read on: its hold pays for that, unless another call that lives follows the run. To be told
   * before Dify is asked.
   */
  follow(name: RunName, call: CallTerms & { callId: string }): Promise<void>;
  /** The call has read a run's end and recorded it, or Dify has said that it failed: nothing is left to charge. */
  ended(name: RunName, callId: string): Promise<void>;
  /** The call will not read its end. True: its hold is kept for whoever finds out. */
  left(name: RunName, callId: string): Promise<boolean>;
  /** The call has let nothing go on, or another one has recorded what it has read: it pays for nothing, and Dify is asked soon. */
  dropped(name: RunName, callId: string): Promise<void>;
  /** Somebody was shown how a run went, which may be more than is on record: Dify is asked soon, unless a call follows it. */
  shown(name: RunName): Promise<void>;
}

export function createOpenRuns(deps: { pool: Pool; log: Logger; ledger: Pick<Ledger, "stillHeld" | "releaseWithin"> }): OpenRuns {
  const { pool, log, ledger } = deps;
  const untold = (name: RunName, error: unknown): void =>
    log.warn({ err: error, run: name.run }, "how a run of Dify's goes on could not be noted; it is asked for later");

  /** A call that is lost pays no more, unless it had recorded what it owes. */
  async function free(tx: PoolClient, callId: string): Promise<void> {
    if ((await owing(tx, [callId])).length === 0) await ledger.releaseWithin(tx, callId);
  }

  return {
    async paused(run, callId) {
      for (const pauseMs of PAUSES_MS) {
        try {
          return await upsertOpen(pool, run, { state: "paused", callId, lookMs: FIRST_LOOK_MS });
        } catch (error) {
          untold(run, error);
          await delay(pauseMs);
        }
      }
    },
    counted: (run, callId) =>
      upsertOpen(pool, run, { state: "left", callId, lookMs: nextLook("left", 0, 0) }).catch((error: unknown) => untold(run, error)),
    async follow(name, call) {
      const known = await findRun(pool, name);
      const before = known?.callId ?? null;
      if (before !== null && known!.state === "followed" && (await ledger.stillHeld([before])).length > 0) return;
      await inTransaction(pool, async (tx) => {
        const ours = await updateFollowed(tx, name, { ...call, before, lookMs: FOLLOWED_MS });
        if (ours && before !== null) await free(tx, before);
      });
    },
    async ended(name, callId) {
      try {
        await inTransaction(pool, async (tx) => {
          const payer = await deleteRun(tx, name);
          if (payer !== null && payer !== callId) await free(tx, payer);
        });
      } catch (error) {
        untold(name, error);
      }
    },
    left: (name, callId) =>
      updateLeft(pool, name, callId, true).catch((error: unknown) => {
        untold(name, error);
        return true;
      }),
    async dropped(name, callId) {
      try {
        if (!(await updateLeft(pool, name, callId, false))) await updateDue(pool, name);
      } catch (error) {
        untold(name, error);
      }
    },
    shown: (name) => updateDue(pool, name).catch((error: unknown) => untold(name, error)),
  };
}

/** Those of these holds that are kept for what a run turns out to have used. */
export const keptForRuns = (tx: Queryable, ids: readonly string[]): Promise<string[]> => holdsOfRuns(tx, ids);

/** Which holds of wallets pay for which runs, for whoever charges what such a run has made. */
export const heldRuns: HeldRuns = runsHeldBy;

/** Shows how many runs go on or wait. */
export function watchRuns(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_dify_runs",
    help: "Runs of Dify apps that are paid for to their end, by state: paused, followed by a call, left to the worker.",
    read: async () => (await countRuns(pool)).map(({ state, count }) => ({ labels: { state }, value: count })),
  });
}
