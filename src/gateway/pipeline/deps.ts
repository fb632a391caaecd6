import type { Emit } from "../../activity/index.ts";
import type { Identity } from "../../identity/index.ts";
import type { Ledger } from "../../ledger/index.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Pricing } from "../../pricing/index.ts";
import type { Incident, Usage } from "../../usage/index.ts";
import type { AnswerCache } from "../cache/index.ts";
import type { Guardrail } from "../guardrail/index.ts";
import type { KeptAnswers } from "../answers/index.ts";
import type { OwnedIds } from "../dify/owned/index.ts";
import type { OpenRuns } from "../dify/runs/index.ts";
import type { Routing } from "../routing/index.ts";
import type { Limiter, PermitWait, SharedLimits, Strangers } from "../limits/index.ts";
import type { RelayMetrics } from "../metrics.ts";
import type { RelayTracing } from "../trace.ts";
import type { Tokenizer } from "../tokens/index.ts";
import type { Catalog } from "../providers/index.ts";
import type { Call } from "./call.ts";
import type { Upstream } from "../upstream/exchange.ts";
import type { Stops } from "./stops.ts";

/** What the relay reads of the configuration; times in milliseconds. */
export interface RelayConfig {
  bodyLimitBytes: number;
  /** How long a client may take nothing, and how long a finished answer may wait to be taken. */
  clientIdleMs: number;
  heartbeatMs: number;
  /** How long what a stopped answer used is waited for. */
  stoppedMs: number;
  holdTtlMs: number;
  defaultMaxOutputTokens: number;
  /** Proxies in front that are believed about the caller's address. */
  proxyHops: number;
  /** What an answer from the cache costs of its price, in percent. */
  cacheChargePercent: number;
}

/** Everything a call needs, made once. */
export interface RelayDeps {
  identity: Pick<Identity, "authenticateKey" | "authenticateSession" | "noteUse">;
  pricing: Pick<Pricing, "model" | "models" | "switchedOff" | "cost" | "estimate" | "affordableOutput">;
  ledger: Pick<Ledger, "authorize" | "extend" | "release" | "stillHeld">;
  usage: Pick<Usage, "record" | "recordFailure" | "noteMessage" | "waiveMessage">;
  catalog: Pick<Catalog, "route" | "difyApps">;
  answers: KeptAnswers;
  /** Whose things at Dify are. */
  owned: OwnedIds;
  /** Runs of Dify's that are paid for to their end. */
  runs: OpenRuns;
  routing: Routing;
  cache: AnswerCache;
  guardrail: Guardrail | undefined;
  limiter: Limiter;
  permitWait: PermitWait;
  strangers: Strangers;
  limits: Pick<SharedLimits, "peek" | "get">;
  tokenizer: Tokenizer;
  upstream: Upstream;
  stops: Stops;
  config: RelayConfig;
  metrics: RelayMetrics;
  /** Tells what happened; what is counted of calls is counted from it. */
  emit: Emit;
  tracing: RelayTracing | undefined;
  /** Keeps something that must not happen and did; never awaited. */
  incident(incident: Incident): void;
  /** Forgets a call when client and provider are both done with it. */
  retire(call: Call): void;
  /** Who renews the holds of this process. */
  owner: string;
  log: Logger;
}
