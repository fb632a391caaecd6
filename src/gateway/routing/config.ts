import type { Config } from "../../config/index.ts";
import type { CircuitConfig } from "./circuit.ts";
import type { KeyConfig } from "./keys.ts";
import type { RetryConfig } from "./retry.ts";

export interface RoutingConfig {
  circuit: CircuitConfig;
  keys: KeyConfig;
  retry: RetryConfig;
}

/** What the router reads of the configuration; times in milliseconds. */
export const routingConfig = (config: Config): RoutingConfig => ({
  circuit: {
    enabled: config.CIRCUIT_BREAKER,
    windowMs: config.CIRCUIT_WINDOW,
    minCalls: config.CIRCUIT_MIN_CALLS,
    failurePercent: config.CIRCUIT_FAILURE_PERCENT,
    coolDownMs: config.CIRCUIT_COOL_DOWN,
  },
  keys: { refusedMs: config.PROVIDER_KEY_REST, limitedMs: config.PROVIDER_RATE_LIMIT_REST },
  retry: {
    maxAttempts: config.RELAY_MAX_ATTEMPTS,
    baseMs: config.RELAY_RETRY_BASE,
    capMs: config.RELAY_RETRY_CAP,
    withinMs: config.RELAY_RETRY_WITHIN,
    percent: config.RELAY_RETRY_PERCENT,
  },
});
