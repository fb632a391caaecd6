import type { Ledger } from "../ledger/index.ts";
import type { Logger } from "../platform/logger.ts";
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
   * corrects once a day how far prompts are taken to be off. */
  keepHouse(): Promise<HouseKept>;
  /** Expires grants whose time is over. */
  expireGrants(onProgress?: (expired: number) => void): Promise<{ expired: number }>;
}

const DAYS_AHEAD = 3;
const BATCH = 500;
const DAY_MS = 86_400_000;
/** Per run; the next run takes the rest. */
const HOLDS_FORGOTTEN = 20_000;
/** After its period is over, a budget's counter is kept this long for whoever asks what was spent. */
const BUDGET_KEPT_MS = 35 * DAY_MS;

/** Creates the housekeeping of holds, grants and usage storage. */
export function createHousekeeping(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "sweep" | "expireGrants" | "forgetHolds" | "forgetBudgets">;
  shards: number;
  /** What other domains have to tidy; each may run at any time and twice. */
  chores?: (() => Promise<unknown>)[];
  log: Logger;
}): Housekeeping {
  const { pool, ledger, shards, chores = [], log } = deps;
  return {
    async sweepHolds(onProgress) {
      let released = 0;
      for (;;) {
        let kept = 0;
        const swept = await ledger.sweep(new Date(), BATCH, async (tx, ids) => {
          const owed = await owing(tx, ids);
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
      const made = await pool.query<{ made: number }>("SELECT usage_make_partitions($1) AS made", [DAYS_AHEAD]);
      const keys = await pool.query("DELETE FROM idempotency_keys WHERE claimed_at < now() - interval '1 day'");
      const holdsForgotten = await ledger.forgetHolds(new Date(Date.now() - DAY_MS), HOLDS_FORGOTTEN);
      const budgetsForgotten = await ledger.forgetBudgets(new Date(Date.now() - BUDGET_KEPT_MS), HOLDS_FORGOTTEN);
      const resharded = await reshard(pool, shards);
      for (const chore of chores) await chore();
      const estimatesCorrected = await correctEstimates(pool);
      return {
        partitionsMade: made.rows[0]?.made ?? 0,
        keysForgotten: keys.rowCount ?? 0,
        holdsForgotten,
        budgetsForgotten,
        resharded,
        estimatesCorrected,
      };
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
