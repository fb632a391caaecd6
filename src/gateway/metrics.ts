import type { Bus, CallEnded } from "../activity/index.ts";
import { SECONDS, SHORT_SECONDS, type Counter, type Metrics } from "../platform/metrics.ts";
import type { Limiter } from "./limits/index.ts";
import type { Call } from "./pipeline/call.ts";
import type { Stops } from "./pipeline/stops.ts";
import type { Registry } from "./registry.ts";

/** What the relay counts, besides what it hears of calls that have ended. All of it is a few additions: they run for each call. */
export interface RelayMetrics {
  /** A provider is about to be asked for the first time. */
  admitted(call: Call): void;
  /** The limiter refused a request. */
  limited(scope: string, kind: string): void;
  /** A limit in shadow mode would have refused a request. */
  shadowed(scope: string, kind: string): void;
  /** The guardrail would not let a request or an answer pass. */
  guarded(): void;
  /** An answer that nobody waits for was left to end by itself. */
  stopDropped(): void;
  /** Providers have answered a call, or it has failed. */
  answered(call: Call): void;
  /** Milliseconds to the first byte of a provider's last answer. */
  latencyOf(providerId: string): number | undefined;
}

/** Refusals because what a caller may spend is spent: its wallet, a budget of its key, a quota. */
const SPENT: ReadonlySet<string> = new Set(["insufficient_balance", "spend_limit_reached", "quota_exceeded"]);

type Outcome = CallEnded["outcome"] | "refused";

/** Declares the relay's metrics, and counts calls as they are told; once per process. */
export function createRelayMetrics(metrics: Metrics, events: Pick<Bus, "on">): RelayMetrics {
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
  const stopsDropped = metrics.counter({
    name: "tollkeeper_relay_stops_dropped_total",
    help: "Answers that nobody waits for and that were left to end by themselves, because too many waited to be stopped.",
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

  function count(outcome: Outcome, route: string, model: string | null): void {
    const counter: Counter = outcome === "ok" || outcome === "client_gone" ? ok : error;
    counter.add();
    calls.of(route, outcome).add();
    if (model !== null) byModel.of(model, outcome).add();
  }

  events.on("call.ended", ({ outcome, route, model, error_class, error_code, answer, duration_ms }) => {
    count(outcome, route, model);
    if (outcome === "failed") failures.of(error_class ?? "other", error_code ?? "other").add();
    else if (answer !== null) durations.of(answer).observe(duration_ms / 1_000);
  });
  events.on("call.refused", ({ route, model, error_code }) => {
    count("refused", route, model);
    refusals.of(error_code ?? "other").add();
    if (error_code !== null && SPENT.has(error_code)) spent.add();
  });

  return {
    latencyOf: (providerId) => latencies.get(providerId),
    admitted: (call) => admission.observe((performance.now() - call.startedMs) / 1_000),
    limited(scope, kind) {
      limited.add();
      limits.of(scope, kind).add();
    },
    guarded: () => guarded.add(),
    stopDropped: () => stopsDropped.add(),
    shadowed: (scope, kind) => shadowLimits.of(scope, kind).add(),
    answered: noteLatency,
  };
}

/** Shows what runs now, what is to be stopped, and who keeps the limits. */
export function watchRelay(
  metrics: Metrics,
  { registry, limiter, stops }: { registry: Pick<Registry, "live">; limiter: Pick<Limiter, "away">; stops: Pick<Stops, "size"> },
): void {
  metrics.gauge({
    name: "tollkeeper_relay_live",
    help: "Calls under way in this process, by kind of answer (none: not read yet).",
    read: () => registry.live(),
  });
  metrics.gauge({
    name: "tollkeeper_relay_stops",
    help: "Answers that nobody waits for and that providers are told to stop: those told now, and those that wait for their turn.",
    read: () => stops.size,
  });
  metrics.gauge({
    name: "tollkeeper_limiter_standby",
    help: "1 while limits are counted in Postgres because Redis is away or slow for one of the copies.",
    read: () => (limiter.away ? 1 : 0),
  });
}
