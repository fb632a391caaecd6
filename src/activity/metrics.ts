import type { Metrics } from "../platform/metrics.ts";

/** Why an event did not reach a sink: its buffer was full, it could not be written, or the process stopped before it was. */
export type DropReason = "full" | "failed" | "stopped";

export interface ActivityMetrics {
  written(sink: string, events: number): void;
  dropped(sink: string, reason: DropReason, events: number): void;
  /** Shows how many events wait for a sink. */
  watch(sink: string, waiting: () => number): void;
}

/** Declares what the sinks of events count; once per process. */
export function createActivityMetrics(metrics: Metrics): ActivityMetrics {
  const written = metrics.counters({
    name: "tollkeeper_activity_written_total",
    help: "Events of the activity log that were written, by sink.",
    labels: ["sink"],
  });
  const dropped = metrics.counters({
    name: "tollkeeper_activity_dropped_total",
    help: "Events of the activity log that did not reach a sink: its buffer was full, writing failed, or the process stopped.",
    labels: ["sink", "reason"],
  });
  const waiting = new Map<string, () => number>();
  metrics.gauge({
    name: "tollkeeper_activity_waiting",
    help: "Events that wait to be written, by sink.",
    read: () => [...waiting].map(([sink, count]) => ({ labels: { sink }, value: count() })),
  });
  return {
    written: (sink, events) => written.of(sink).add(events),
    dropped: (sink, reason, events) => dropped.of(sink, reason).add(events),
    watch(sink, count) {
      waiting.set(sink, count);
      // Shown from the start, so that an alert on their growth sees the first one.
      written.of(sink);
      for (const reason of ["full", "failed", "stopped"]) dropped.of(sink, reason);
    },
  };
}
