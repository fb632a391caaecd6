import { SHORT_SECONDS, type Metrics } from "../../platform/metrics.ts";
import type { Pool } from "../../platform/postgres.ts";

const ITEMS = [1, 2, 5, 10, 20, 50, 100, 200] as const;

/** What the webhook counts. */
export interface DifyMetrics {
  /** `outcome`: charged, repeat, ignored, unavailable, or why it was refused or kept open. */
  answered(outcome: string, seconds: number): void;
  committed(items: number, seconds: number): void;
}

/** Declares what the webhook counts; once per process. */
export function createDifyMetrics(metrics: Metrics): DifyMetrics {
  const outcomes = metrics.counters({
    name: "tollkeeper_dify_events_total",
    help: "Deliveries of Dify's webhook by what became of them.",
    labels: ["outcome"],
    limit: 50,
  });
  for (const outcome of ["charged", "repeat", "insufficient_balance", "user_not_found", "model_not_found", "forged"]) outcomes.of(outcome);
  const seconds = metrics.histogram({
    name: "tollkeeper_dify_answer_seconds",
    help: "From the first byte of a delivery of Dify's webhook to its answer.",
    buckets: SHORT_SECONDS,
  });
  const items = metrics.histogram({ name: "tollkeeper_dify_batch_items", help: "Deliveries in one group commit.", buckets: ITEMS });
  const took = metrics.histogram({
    name: "tollkeeper_dify_batch_seconds",
    help: "How long a group commit of deliveries took.",
    buckets: SHORT_SECONDS,
  });
  return {
    answered(outcome, time) {
      outcomes.of(outcome).add();
      seconds.observe(time);
    },
    committed(count, time) {
      items.observe(count);
      took.observe(time);
    },
  };
}

/** What waits for an operator, as Postgres knows it: the same on every copy. */
export function watchOpenEvents(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_dify_open_events",
    help: "Dify events that wait for an operator or for credit, by reason.",
    read: async () => {
      const { rows } = await pool.query<{ reason: string; count: number }>(
        "SELECT reason, count(*)::integer AS count FROM dify_events WHERE state = 'open' GROUP BY reason",
      );
      return rows.map(({ reason, count }) => ({ labels: { reason }, value: count }));
    },
  });
}
