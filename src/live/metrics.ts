import type { Counter, Family, Metrics } from "../platform/metrics.ts";
import type { CutReason } from "./peer.ts";

export interface PublisherMetrics {
  published: Family<Counter>;
  dropped: Counter;
}

/** What this process tells; every process has a publisher. */
export function createPublisherMetrics(metrics: Metrics): PublisherMetrics {
  return {
    published: metrics.counters({
      name: "tollkeeper_live_events_total",
      help: "Events that this process told people, by type.",
      labels: ["type"],
    }),
    dropped: metrics.counter({
      name: "tollkeeper_live_events_dropped_total",
      help: "Events that could not be told, because Redis was away for too long or they were too large.",
    }),
  };
}

export interface HubMetrics {
  sent: Counter;
  cut(reason: CutReason): void;
  resumed(how: "complete" | "gap"): void;
  refused(code: string): void;
}

/** Who is connected to this copy, and what became of it. */
export function createHubMetrics(metrics: Metrics, now: () => { connections: number; users: number }): HubMetrics {
  metrics.gauge({ name: "tollkeeper_live_connections", help: "Open WebSockets of this process.", read: () => now().connections });
  metrics.gauge({ name: "tollkeeper_live_users", help: "People with an open WebSocket in this process.", read: () => now().users });
  const cut = metrics.counters({ name: "tollkeeper_live_cut_total", help: "WebSockets that we ended, by reason.", labels: ["reason"] });
  const resumes = metrics.counters({
    name: "tollkeeper_live_resumes_total",
    help: "Clients that came back, by whether everything they had missed was still there.",
    labels: ["result"],
  });
  const refused = metrics.counters({
    name: "tollkeeper_live_refused_total",
    help: "WebSockets that were not opened, by error code.",
    labels: ["code"],
  });
  return {
    sent: metrics.counter({ name: "tollkeeper_live_messages_total", help: "Events handed to WebSockets of this process." }),
    cut: (reason) => cut.of(reason).add(),
    resumed: (how) => resumes.of(how).add(),
    refused: (code) => refused.of(code).add(),
  };
}
