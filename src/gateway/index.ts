import type { IncomingMessage, ServerResponse } from "node:http";
import { createBus, type Bus } from "../activity/index.ts";
import type { Config } from "../config/index.ts";
import type { Route } from "../http/route.ts";
import type { Ledger } from "../ledger/index.ts";
import { uuidv7 } from "../platform/ids.ts";
import type { Invalidation } from "../platform/invalidation.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Logger } from "../platform/logger.ts";
import { dedicateRedis, type Redis } from "../platform/redis.ts";
import { within } from "../platform/within.ts";
import type { Tracing } from "../platform/tracing/index.ts";
import { spentSince } from "../usage/index.ts";
import { createAnswerCache } from "./cache/index.ts";
import { createGuardrail, type Guardrail } from "./guardrail/index.ts";
import { createKeptAnswers } from "./answers/index.ts";
import { createAppHolds, type AppHold } from "./dify/holds.ts";
import { createOwnedIds } from "./dify/owned/index.ts";
import { createOpenRuns } from "./dify/runs/index.ts";
import type { WalletDeps } from "./billing/view.ts";
import { createLimiter, createPermitWait, createShadowLog, createStrangers } from "./limits/index.ts";
import { createRelayMetrics, watchRelay } from "./metrics.ts";
import { createProviderStates, watchProviders, type ProviderState } from "./providerStates.ts";
import type { Catalog } from "./providers/index.ts";
import type { RelayConfig, RelayDeps } from "./pipeline/deps.ts";
import { createStops } from "./pipeline/stops.ts";
import { createRouting, routingConfig, type Routing } from "./routing/index.ts";
import { createRegistry } from "./registry.ts";
import { relayDocumentation, relayHandler } from "./routes.ts";
import { createRelayTracing } from "./trace.ts";
import { createTokenizer } from "./tokens/index.ts";
import { createUpstream } from "./upstream/exchange.ts";

export { createAppHolds, type AppHold } from "./dify/holds.ts";
export type { ProviderState } from "./providerStates.ts";

/** What providers are still to be told when calls have ended. */
const STOPS_MS = 2_000;

export interface GatewayDeps extends Pick<RelayDeps, "identity" | "pricing" | "usage" | "limits" | "incident" | "log"> {
  ledger: RelayDeps["ledger"] & WalletDeps["ledger"] & Pick<Ledger, "releaseWithin">;
  catalog: Pick<Catalog, "route" | "difyApps" | "providers">;
  pool: Pool;
  invalidation: Pick<Invalidation, "on">;
  redis: Redis;
  config: Config;
  metrics: Metrics;
  events?: Bus;
  tracing?: Tracing | undefined;
}

export interface Gateway {
  /** Serves the request if its path is the relay's; false leaves it to others. To be asked before anything else. */
  handle(req: IncomingMessage, res: ServerResponse): boolean;
  /** The relay's routes, for the API document only. */
  routes: Route[];
  /** How providers are, as this copy knows it. */
  routing: Pick<Routing, "health" | "reset">;
  /** Every provider with its state and its last answer's latency, for whoever asks how it goes. */
  providers(): Promise<ProviderState[]>;
  /** What calls of a Dify app are held for beside their prompt; undefined for other models. */
  appHold(model: string): Promise<AppHold | undefined>;
  /** Calls under way. */
  readonly live: number;
  /** Resolves when the tokenizer is loaded and Redis is found, or is not to be found. Calls before that are estimated by size. */
  ready: Promise<void>;
  /** Refuses new calls, waits `graceMs` for running ones, ends the rest with an error; every hold is recorded or released when it resolves. */
  drain(graceMs: number): Promise<void>;
  /** Closes the connections to providers; after {@link Gateway.drain}. */
  close(): Promise<void>;
}

function relayConfig(config: Config): RelayConfig {
  return {
    bodyLimitBytes: config.RELAY_BODY_LIMIT_MB * 1024 * 1024,
    clientIdleMs: config.UPSTREAM_IDLE_TIMEOUT,
    heartbeatMs: config.STREAM_HEARTBEAT,
    stoppedMs: config.UPSTREAM_STOP_TIMEOUT,
    holdTtlMs: config.HOLD_TTL,
    defaultMaxOutputTokens: config.DEFAULT_MAX_OUTPUT_TOKENS,
    proxyHops: config.TRUST_PROXY,
    cacheChargePercent: config.CACHE_CHARGE_PERCENT,
  };
}

function guardrailOf(config: Config, log: Logger, refused: () => void): Guardrail | undefined {
  const { GUARDRAIL_URL: url, GUARDRAIL_SECRET: secret, GUARDRAIL_TIMEOUT: timeoutMs } = config;
  if (url === undefined) return undefined;
  return createGuardrail(
    { url, secret, timeoutMs, answers: config.GUARDRAIL_ANSWERS, onFailure: config.GUARDRAIL_ON_FAILURE, mode: config.GUARDRAIL_MODE },
    { log, refused },
  );
}

/** The relay: one pipeline of admission, hold, relay, usage and settlement; a format is one folder under formats/. */
export function createGateway(deps: GatewayDeps): Gateway {
  const { identity, pricing, ledger, usage, catalog, limits, incident, log, redis, config, metrics, events = createBus() } = deps;
  const tokenizer = createTokenizer();
  const upstream = createUpstream({ allowPrivate: config.UPSTREAM_PRIVATE_ADDRESSES });
  const routing = createRouting({ redis, log, incident, config: routingConfig(config) });
  routing.start();
  const relayMetrics = createRelayMetrics(metrics, events);
  const providers = createProviderStates({ catalog, routing, latencyOf: relayMetrics.latencyOf });
  watchProviders(metrics, providers);
  const owner = `relay:${process.pid}:${uuidv7().slice(-8)}`;
  const limitRedis = dedicateRedis(redis);
  const limiter = createLimiter({
    redis: limitRedis,
    log,
    leaseMs: config.PERMIT_LEASE,
    standby: { pool: deps.pool, invalidation: deps.invalidation, owner },
    shadowed: createShadowLog(log, relayMetrics.shadowed),
    freed: (permit) => permitWait.freed(permit),
  });
  const permitWait = createPermitWait(limiter, config.PERMIT_WAIT);
  const relayDeps: RelayDeps = {
    identity,
    pricing,
    ledger,
    usage,
    catalog,
    answers: createKeptAnswers(deps.pool),
    owned: createOwnedIds({ pool: deps.pool, log }),
    runs: createOpenRuns({ pool: deps.pool, log, ledger }),
    incident,
    log,
    tokenizer,
    upstream,
    stops: createStops({ upstream, later: routing.later, log, dropped: relayMetrics.stopDropped }),
    routing,
    cache: createAnswerCache({ redis, log }),
    guardrail: guardrailOf(config, log, relayMetrics.guarded),
    limits,
    limiter,
    permitWait,
    strangers: createStrangers(config.REFUSED_KEYS_PER_MINUTE, limitRedis),
    metrics: relayMetrics,
    emit: events.emit,
    tracing: deps.tracing && createRelayTracing({ tracing: deps.tracing, redis }),
    config: relayConfig(config),
    owner,
    retire: (call) => registry.retire(call),
  };
  const registry = createRegistry(relayDeps);
  watchRelay(metrics, { registry, limiter, stops: relayDeps.stops });
  const billing = {
    wallet: { ledger, spentSince: (owner: string, since: Date) => spentSince(deps.pool, owner, since) },
    microPerDollar: config.CREDITS_PER_DOLLAR,
  };
  return {
    handle: relayHandler({ ...relayDeps, registry, billing }),
    routes: relayDocumentation(),
    routing,
    providers,
    appHold: createAppHolds({ catalog, pricing, defaultMaxOutputTokens: config.DEFAULT_MAX_OUTPUT_TOKENS }),
    get live() {
      return registry.size;
    },
    ready: Promise.all([tokenizer.ready, limiter.ready]).then(() => undefined),
    async drain(graceMs) {
      routing.drain();
      await registry.drain(graceMs);
      await within(STOPS_MS, relayDeps.stops.idle()).catch(() => log.warn("some answers could not be stopped before the end"));
    },
    async close() {
      routing.stop();
      relayDeps.strangers.stop();
      await relayDeps.guardrail?.close();
      await Promise.all([limiter.stop(), upstream.close()]);
      limitRedis.disconnect();
    },
  };
}
