import type { Metrics } from "../platform/metrics.ts";
import type { ByeReason } from "./listener.ts";

/** Shows who listens, and counts who was sent away; once per process. */
export function createMonitorMetrics(metrics: Metrics, listeners: () => number): { cut(reason: ByeReason): void } {
  metrics.gauge({
    name: "tollkeeper_monitor_listeners",
    help: "Open streams of the live monitor in this process.",
    read: listeners,
  });
  const cut = metrics.counters({
    name: "tollkeeper_monitor_cut_total",
    help: "Streams of the live monitor that were ended by us, by reason.",
    labels: ["reason"],
  });
  return { cut: (reason) => cut.of(reason).add() };
}
