import type { Ledger } from "../ledger/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import { reportIncidents } from "./incidents.ts";
import { reshard } from "./repository.ts";

/** Regular work that keeps credit free and storage ready. Every function may run at any time, twice, and on several workers. */
export interface Housekeeping {
  /** Releases expired holds whose call left no record (its process died) and reports each as an incident. */
  sweepHolds(onProgress?: (released: number) => void): Promise<{ released: number }>;
  /** Makes partitions for the days ahead, forgets idempotency keys older than a day, moves events of shards that are no more. */
  keepHouse(): Promise<{ partitionsMade: number; keysForgotten: number; resharded: number }>;
  /** Expires grants whose time is over. */
  expireGrants(onProgress?: (expired: number) => void): Promise<{ expired: number }>;
}

const DAYS_AHEAD = 3;
const BATCH = 500;

/** Creates the housekeeping of holds, grants and usage storage. */
export function createHousekeeping(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "sweep" | "expireGrants">;
  shards: number;
  log: Logger;
}): Housekeeping {
  const { pool, ledger, shards, log } = deps;
  return {
    async sweepHolds(onProgress) {
      let released = 0;
      for (;;) {
        const swept = await ledger.sweep(new Date(), BATCH);
        await reportIncidents(
          pool,
          swept.map((hold) => ({
            kind: "hold_expired" as const,
            subject: hold.id,
            walletId: hold.walletId,
            details: { amount: hold.amount.toString(), owner: hold.owner },
          })),
        );
        released += swept.length;
        onProgress?.(released);
        if (swept.length > 0) log.warn({ released: swept.length }, "holds of lost calls were released");
        if (swept.length < BATCH) return { released };
      }
    },
    async keepHouse() {
      const made = await pool.query<{ made: number }>("SELECT usage_make_partitions($1) AS made", [DAYS_AHEAD]);
      const keys = await pool.query("DELETE FROM idempotency_keys WHERE claimed_at < now() - interval '1 day'");
      return { partitionsMade: made.rows[0]?.made ?? 0, keysForgotten: keys.rowCount ?? 0, resharded: await reshard(pool, shards) };
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
