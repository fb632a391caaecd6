import type { Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";

/** What waits for the worker, as Postgres knows it: the same on every copy. */
export function watchFiles(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_files_waiting",
    help: "Files whose sha256 is to be read, and files whose bytes should have been removed ten minutes ago.",
    async read() {
      const { rows } = await pool.query<{ checks: number; late: number }>(
        `SELECT (SELECT count(*) FROM files WHERE state = 'checking')::integer AS checks,
           (SELECT count(*) FROM files WHERE due_at < now() - interval '10 minutes')::integer AS late`,
      );
      return [
        { labels: { what: "check" }, value: rows[0]!.checks },
        { labels: { what: "late_removal" }, value: rows[0]!.late },
      ];
    },
  });
}
