import type { Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { REFUNDED } from "./topups.ts";

/** What waits to be paid, as Postgres knows it: the same on every copy. */
export function watchRewards(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_rewards_waiting",
    help: "Top-ups and referrals whose rewards are not paid yet, or not taken back after a refund.",
    async read() {
      const { rows } = await pool.query<{ waiting: bigint }>(
        `SELECT (SELECT count(*) FROM reward_topups WHERE done_at IS NULL) + (SELECT count(*) FROM referrals WHERE status = 'due')
           + (SELECT count(*) FROM reward_topups WHERE ${REFUNDED})
           + (SELECT count(*) FROM reward_reversals WHERE ended_at IS NULL) AS waiting`,
      );
      return Number(rows[0]!.waiting);
    },
  });
}
