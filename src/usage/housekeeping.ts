import type { Ledger, Owing } from "../ledger/index.ts";
import type { Logger } from "../platform/logger.ts";
import { inBatches } from "../platform/inBatches.ts";
import type { Pool } from "../platform/postgres.ts";
import { correctEstimates } from "./estimates.ts";
import { owing, reshard } from "./repository.ts";

/** How much was tidied. */
export interface HouseKept {
  partitionsMade: number;
  keysForgotten: number;
  holdsForgotten: number;
  budgetsForgotten: number;
  resharded: number;
  estimatesCorrected: number;
}

/** Regular work that keeps credit free and storage ready. Every function may run at any time, twice, and on several workers. */
export interface Housekeeping {
  /** Releases expired holds whose call left no record (its process died); the ledger keeps each as an incident. */
  sweepHolds(onProgress?: (released: number) => void): Promise<{ released: number }>;
  /** Makes partitions for the days ahead, forgets idempotency keys, closed holds and budgets of the past, moves events of shards that are no more, and
   * corrects once a day how far prompts are taken to be off, and does the chores of other domains. What fails is logged and stops nothing else. */
  keepHouse(): Promise<HouseKept>;
  /** Expires grants whose time is over. */
  expireGrants(onProgress?: (expired: number) => void): Promise<{ expired: number }>;
}

const DAYS_AHEAD = 3;
const BATCH = 500;
const DAY_MS = 86_400_000;
/** After its period is over, a budget's counter is kept this long for whoever asks what was spent. */
const BUDGET_KEPT_MS = 35 * DAY_MS;

async function makePartitions(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ made: number }>("SELECT usage_make_partitions($1) AS made", [DAYS_AHEAD]);
  return rows[0]?.made ?? 0;
}

async function forgetKeys(pool: Pool): Promise<number> {
  const { rowCount } = await pool.query("DELETE FROM idempotency_keys WHERE claimed_at < now() - interval '1 day'");
  return rowCount ?? 0;
}

/** Creates the housekeeping of holds, grants and usage storage. */
export function createHousekeeping(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "sweep" | "expireGrants" | "forgetHolds" | "forgetBudgets">;
  shards: number;
  /** Those of the holds that other domains keep, beside those of recorded calls: they are still to be settled. */
  keeps?: Owing;
  /** What other domains have to tidy; each may run at any time and twice. */
  chores?: (() => Promise<unknown>)[];
  log: Logger;
}): Housekeeping {
  const { pool, ledger, shards, keeps, chores = [], log } = deps;

  /** What one piece of work did, nothing when it failed: those after it have their turn, and it has its own again in the next run. */
  async function attempt<T>(work: () => Promise<T>): Promise<T | 0> {
    try {
      return await work();
    } catch (error) {
      log.error({ err: error }, "a part of the housekeeping failed");
      return 0;
    }
  }

  return {
    async sweepHolds(onProgress) {
      let released = 0;
      for (;;) {
        let kept = 0;
        const swept = await ledger.sweep(new Date(), BATCH, async (tx, ids) => {
          const owed = [...(await owing(tx, ids)), ...((await keeps?.(tx, ids)) ?? [])];
          kept = owed.length;
          return owed;
        });
        released += swept.length;
        onProgress?.(released);
        if (swept.length > 0) log.warn({ released: swept.length }, "holds of lost calls were released");
        if (swept.length + kept < BATCH) return { released };
      }
    },
    async keepHouse() {
      const now = Date.now();
      const kept: HouseKept = {
        partitionsMade: await attempt(() => makePartitions(pool)),
        keysForgotten: await attempt(() => forgetKeys(pool)),
        holdsForgotten: await attempt(() => inBatches((most) => ledger.forgetHolds(new Date(now - DAY_MS), most))),
        budgetsForgotten: await attempt(() => inBatches((most) => ledger.forgetBudgets(new Date(now - BUDGET_KEPT_MS), most))),
        resharded: await attempt(() => reshard(pool, shards)),
        estimatesCorrected: await attempt(() => correctEstimates(pool)),
      };
      for (const chore of chores) await attempt(chore);
      return kept;
    },
    async expireGrants(onProgress) {
      let expired = 0;
      for (;;) {
        const count = await ledger.expireGrants(new Date(), BATCH);
        expired += count;
        onProgress?.(expired);
        if (count < BATCH) return { expired };
      }
    },
  };
}
