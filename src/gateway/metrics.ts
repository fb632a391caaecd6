import { SECONDS, SHORT_SECONDS, type Counter, type Metrics } from "../platform/metrics.ts";
import type { Limiter } from "./limits/index.ts";
import type { Call } from "./pipeline/call.ts";
import type { Failure } from "./pipeline/failure.ts";
import type { End } from "./pipeline/finish.ts";
import type { Registry } from "./registry.ts";

/** What the relay counts. Every method is a few additions: they run for each call. */
export interface RelayMetrics {
  /** A provider is about to be asked for the first time. */
  admitted(call: Call): void;
  /** The limiter refused a request. */
  limited(scope: string, kind: string): void;
  /** A limit in shadow mode would have refused a request. */
  shadowed(scope: string, kind: string): void;
  /** The guardrail would not let a request or an answer pass. */
  guarded(): void;
  /** The one end of a call. */
  ended(call: Call, end: End): void;
  /** Milliseconds to the first byte of a provider's last answer. */
  latencyOf(providerId: string): number | undefined;
}

/** Refusals because what a caller may spend is spent: its wallet, a budget of its key, a quota. */
const SPENT: ReadonlySet<string> = new Set(["insufficient_balance", "spend_limit_reached", "quota_exceeded"]);

type Outcome = "ok" | "client_gone" | "refused" | "failed";

function outcomeOf(call: Call, end: End): Outcome {
  if (end.kind === "gone") return "client_gone";
  if (end.kind === "done") return call.recorded ? "ok" : "failed";
  return end.failure.class === "refused" ? "refused" : "failed";
}

/** Declares the relay's metrics; once per process. */
export function createRelayMetrics(metrics: Metrics): RelayMetrics {
  const requests = metrics.counters({ name: "proxy_requests_total", help: "Relayed requests by how they ended.", labels: ["status"] });
  const ok = requests.of("ok");
  const error = requests.of("error");
  const limited = metrics.counter({ name: "rate_limit_rejections_total", help: "Requests refused by a rate or concurrency limit." });
  const spent = metrics.counter({ name: "quota_exceeded_total", help: "Calls refused because a wallet, budget or quota is used up." });
  const calls = metrics.counters({
    name: "tollkeeper_relay_calls_total",
    help: "Calls by route and outcome: ok, client_gone, refused (by us), failed.",
    labels: ["route", "outcome"],
  });
  const byModel = metrics.counters({
    name: "tollkeeper_relay_model_calls_total",
    help: "Calls of models in the catalogue by outcome.",
    labels: ["model", "outcome"],
  });
  const refusals = metrics.counters({ name: "tollkeeper_relay_refusals_total", help: "Refused calls by error code.", labels: ["code"] });
  const failures = metrics.counters({
    name: "tollkeeper_relay_failures_total",
    help: "Failed calls by class and precise code, after every provider was tried.",
    labels: ["class", "code"],
  });
  const limits = metrics.counters({
    name: "tollkeeper_limiter_refusals_total",
    help: "Refusals of the limiter by whose limit it was and its kind.",
    labels: ["scope", "kind"],
  });
  const shadowLimits = metrics.counters({
    name: "tollkeeper_limiter_shadow_refusals_total",
    help: "Requests that a limit in shadow mode would have refused.",
    labels: ["scope", "kind"],
  });
  const guarded = metrics.counter({
    name: "tollkeeper_guardrail_refusals_total",
    help: "Requests and answers that the guardrail refused, also while it is in shadow mode.",
  });
  const admission = metrics.histogram({
    name: "tollkeeper_relay_admission_seconds",
    help: "From the request to the first provider being asked: authentication, limits, hold.",
    buckets: SHORT_SECONDS,
  });
  const durations = metrics.histograms({
    name: "tollkeeper_relay_call_seconds",
    help: "From the request to the last byte handed to the client, by kind of answer.",
    labels: ["answer"],
    buckets: SECONDS,
  });

  const latencies = new Map<string, number>();

  function noteLatency({ tries }: Call): void {
    for (const { candidate, startedMs, firstByteMs } of tries)
      if (firstByteMs !== null) latencies.set(candidate.provider.id, firstByteMs - startedMs);
  }

  function failed({ class: kind, record }: Failure): void {
    if (kind === "refused") refusals.of(record).add();
    else failures.of(kind, record).add();
    if (SPENT.has(record)) spent.add();
  }

  return {
    latencyOf: (providerId) => latencies.get(providerId),
    admitted: (call) => admission.observe((performance.now() - call.startedMs) / 1_000),
    limited(scope, kind) {
      limited.add();
      limits.of(scope, kind).add();
    },
    guarded: () => guarded.add(),
    shadowed: (scope, kind) => shadowLimits.of(scope, kind).add(),
    ended(call, end) {
      const outcome = outcomeOf(call, end);
      noteLatency(call);
      const counter: Counter = outcome === "ok" || outcome === "client_gone" ? ok : error;
      counter.add();
      calls.of(call.format.route, outcome).add();
      if (call.model) byModel.of(call.model.name, outcome).add();
      if (end.kind === "failed") failed(end.failure);
      else if (call.request) durations.of(call.request.answer).observe((performance.now() - call.startedMs) / 1_000);
    },
  };
}

/** Shows what runs now, and who keeps the limits. */
export function watchRelay(metrics: Metrics, registry: Pick<Registry, "live">, limiter: Pick<Limiter, "away">): void {
  metrics.gauge({
    name: "tollkeeper_relay_live",
    help: "Calls under way in this process, by kind of answer (none: not read yet).",
    read: () => registry.live(),
  });
  metrics.gauge({
    name: "tollkeeper_limiter_standby",
    help: "1 while limits are counted in Postgres because Redis is away or slow for one of the copies.",
    read: () => (limiter.away ? 1 : 0),
  });
}
