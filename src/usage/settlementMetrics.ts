import type { Bus } from "../activity/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { SECONDS, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { backlog } from "./repository.ts";

/** What one committed batch of settlement did. Amounts in micro-credits; lags in seconds from the record to the charge. */
export interface SettledBatch {
  charges: {
    id: string;
    userId: string;
    requestId: string;
    model: string;
    charged: bigint;
    uncharged: bigint;
    holdMissing: boolean;
    lag: number;
  }[];
  incidents: string[];
}

export interface SettlementMetrics {
  /** Tells each charge as an event, which is what is counted, and counts the incidents. */
  settled(batch: SettledBatch): void;
}

/** Declares what settlement counts; once per process. */
export function createSettlementMetrics(metrics: Metrics, events: Bus): SettlementMetrics {
  const settled = metrics.counters({ name: "tollkeeper_settled_total", help: "Settled usage events by model.", labels: ["model"] });
  const charged = metrics.counters({
    name: "tollkeeper_charged_credits_total",
    help: "Credits charged for calls, by model.",
    labels: ["model"],
  });
  const uncharged = metrics.counter({
    name: "tollkeeper_uncharged_credits_total",
    help: "Credits of cost that neither hold, tolerance nor balance covered.",
  });
  const lag = metrics.histogram({
    name: "tollkeeper_settlement_lag_seconds",
    help: "From the durable record of a call to its charge.",
    buckets: SECONDS,
  });
  const incidents = metrics.counters({
    name: "tollkeeper_settlement_incidents_total",
    help: "Incidents noted by settlement, by kind.",
    labels: ["kind"],
  });
  for (const kind of ["uncharged", "hold_missing", "price_version_missing", "settlement_refused"]) incidents.of(kind);
  events.on("call.settled", (charge) => {
    settled.of(charge.model).add();
    charged.of(charge.model).add(Number(charge.charged));
    lag.observe(charge.lag_ms / 1_000);
    if (charge.uncharged !== "0") {
      uncharged.add(Number(charge.uncharged));
      incidents.of("uncharged").add();
    }
    if (charge.hold_missing) incidents.of("hold_missing").add();
  });
  return {
    settled(batch) {
      for (const charge of batch.charges) {
        events.emit({
          kind: "call.settled",
          user_id: charge.userId,
          request_id: charge.requestId,
          call_id: charge.id,
          model: charge.model,
          charged: formatCredits(charge.charged),
          uncharged: formatCredits(charge.uncharged),
          lag_ms: Math.round(charge.lag * 1_000),
          hold_missing: charge.holdMissing,
        });
      }
      for (const kind of batch.incidents) incidents.of(kind).add();
    },
  };
}

/** What waits for settlement in all shards, as Postgres knows it: the same on every copy, so alert on the largest. */
export function watchBacklog(metrics: Metrics, pool: Pool): void {
  let asked: { at: number; answer: ReturnType<typeof backlog> } | undefined;
  const recent = () => {
    // Two metrics, one question.
    if (!asked || Date.now() - asked.at > 1_000) asked = { at: Date.now(), answer: backlog(pool) };
    return asked.answer;
  };
  metrics.gauge({
    name: "tollkeeper_settlement_backlog",
    help: "Recorded calls that wait for their charge (counted up to 100000).",
    read: async () => (await recent()).pending,
  });
  metrics.gauge({
    name: "tollkeeper_settlement_oldest_seconds",
    help: "Age of the oldest record that waits for its charge; 0 when none waits.",
    read: async () => (await recent()).oldestSeconds,
  });
}
