import { SECONDS, SHORT_SECONDS, type Metrics } from "../platform/metrics.ts";
import type { UsageEvent } from "./event.ts";

/** Sizes of batches. */
const ITEMS = [1, 2, 5, 10, 20, 50, 100, 200, 500] as const;

/** What the recording side counts: it sees every call that was held for, with its attempts. */
export interface RecorderMetrics {
  recorded(event: UsageEvent): void;
  /** A group commit of `items` records took so long. */
  committed(items: number, seconds: number): void;
  /** Records of free calls that were given up. */
  dropped(): void;
}

/** Declares what the recorder counts; once per process. */
export function createRecorderMetrics(metrics: Metrics): RecorderMetrics {
  const latency = metrics.histogram({
    name: "upstream_latency_seconds",
    help: "From a request to a provider to the first byte of its answer.",
    buckets: SECONDS,
  });
  const attempts = metrics.counters({
    name: "tollkeeper_upstream_attempts_total",
    help: "Requests to providers by how they ended: ok, client_gone, or the class of the error.",
    labels: ["provider", "outcome"],
  });
  const firstBytes = metrics.histograms({
    name: "tollkeeper_upstream_first_byte_seconds",
    help: "From a request to the first byte of the answer, by provider.",
    labels: ["provider"],
    buckets: SECONDS,
    limit: 200,
  });
  const errors = metrics.counters({
    name: "tollkeeper_upstream_errors_total",
    help: "Requests to providers that failed, by class and precise code.",
    labels: ["provider", "class", "code"],
  });
  const tokens = metrics.counters({
    name: "tollkeeper_tokens_total",
    help: "Tokens of recorded calls by model and kind.",
    labels: ["model", "kind"],
  });
  const estimated = metrics.counter({
    name: "tollkeeper_usage_estimated_total",
    help: "Recorded calls whose tokens we counted because the provider did not.",
  });
  const items = metrics.histogram({ name: "tollkeeper_usage_batch_items", help: "Records in one group commit.", buckets: ITEMS });
  const seconds = metrics.histogram({
    name: "tollkeeper_usage_batch_seconds",
    help: "How long a group commit of records took.",
    buckets: SHORT_SECONDS,
  });
  const dropped = metrics.counter({
    name: "tollkeeper_usage_dropped_total",
    help: "Records of free calls that were given up while Postgres was away.",
  });

  function count(event: UsageEvent): void {
    const { model, tokens: used } = event;
    if (used.input > 0) tokens.of(model, "input").add(used.input);
    if (used.cachedInput > 0) tokens.of(model, "cached_input").add(used.cachedInput);
    if (used.cacheWrite > 0) tokens.of(model, "cache_write").add(used.cacheWrite);
    if (used.cacheWriteLong) tokens.of(model, "cache_write_long").add(used.cacheWriteLong);
    if (used.output > 0) tokens.of(model, "output").add(used.output);
    if (used.reasoning > 0) tokens.of(model, "reasoning").add(used.reasoning);
    if (event.estimated) estimated.add();
  }

  return {
    recorded(event) {
      if (event.status !== "failed") count(event);
      for (const { provider, status, errorClass, errorCode, firstByteMs } of event.attempts ?? []) {
        attempts.of(provider, status === "ok" ? "ok" : status === "gone" ? "client_gone" : (errorClass ?? "other")).add();
        if (status === "failed") errors.of(provider, errorClass ?? "other", errorCode ?? "other").add();
        if (firstByteMs === null) continue;
        latency.observe(firstByteMs / 1_000);
        firstBytes.of(provider).observe(firstByteMs / 1_000);
      }
    },
    committed(count, took) {
      items.observe(count);
      seconds.observe(took);
    },
    dropped: () => dropped.add(),
  };
}
