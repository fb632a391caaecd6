import type { Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";

/** What waits to be told or delivered, as Postgres knows it: the same on every copy. */
export function watchNotices(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_notices_waiting",
    help: "Crossings of a threshold that nobody was told of yet, and tries of webhooks that are late.",
    async read() {
      const { rows } = await pool.query<{ untold: number; late: number }>(
        `SELECT (SELECT count(*) FROM balance_notices WHERE told_at IS NULL)::integer AS untold,
           (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND next_at < now() - interval '1 minute')::integer AS late`,
      );
      return [
        { labels: { what: "untold" }, value: rows[0]!.untold },
        { labels: { what: "late_delivery" }, value: rows[0]!.late },
      ];
    },
  });
}
