import type { Logger } from "../../platform/logger.ts";
import { uuidv7 } from "../../platform/ids.ts";
import type { Redis } from "../../platform/redis.ts";
import type { Incident } from "../../usage/index.ts";
import { createCircuits } from "./circuits.ts";
import type { RoutingConfig } from "./config.ts";
import { healthOf } from "./health.ts";
import { createKeys } from "./keys.ts";
import { pauseBefore, RetryAllowance } from "./retry.ts";
import { createChooser } from "./router.ts";
import { restReason, ruleOf } from "./rules.ts";
import { keeperHash } from "./draw.ts";
import { createShared, type Fact } from "./shared.ts";
import type { Route, Routing } from "./types.ts";

export { routingConfig } from "./config.ts";
export { keeperHash, sessionHash } from "./draw.ts";
export { concernsKey, ruleOf } from "./rules.ts";
export type { ProviderHealth, Route, Routing } from "./types.ts";

export interface RoutingDeps {
  redis: Redis;
  log: Logger;
  config: RoutingConfig;
  /** A key that a provider does not take is for an operator to see. */
  incident(incident: Incident): void;
  random?: () => number;
}

const RESET = "reset|";

/** Which provider and key a call goes to next, and when it is sent again. Copies share what they learn; none waits for another. */
export function createRouting(deps: RoutingDeps): Routing {
  const { redis, log, config } = deps;
  const random = deps.random ?? Math.random;
  const copy = uuidv7();
  const shared = createShared({ redis, log, copy, learn });
  const circuits = createCircuits({ config: config.circuit, shared, log, random });
  const keys = createKeys(config.keys, shared);
  const chooser = createChooser({ circuits, keys, random });
  const allowance = new RetryAllowance(config.retry.percent, performance.now());
  const pending = new Set<() => void>();
  let draining = false;

  function learn(field: string, fact: Fact): void {
    const nowMs = performance.now();
    if (field.startsWith(RESET)) clear(field.slice(RESET.length));
    else if (field.startsWith("circuit|")) circuits.learn(field, fact, nowMs);
    else if (field.startsWith("key|")) keys.learn(field, fact, nowMs);
  }

  const clear = (providerId: string): string[] => [...circuits.clear(providerId), ...keys.clear(providerId)];

  function report(route: Route, reason: string, status: number | null): void {
    const { provider } = route.candidate;
    const day = new Date().toISOString().slice(0, 10);
    log.warn({ provider: provider.name, key: route.key.fingerprint, reason, status }, "a provider does not take its key, which rests");
    deps.incident({
      kind: "provider_key_refused",
      // Once a day for each key.
      subject: `${provider.id}:${route.key.fingerprint}:${day}`,
      details: { provider: provider.name, key: route.key.fingerprint, reason, status },
    });
  }

  return {
    begin: () => allowance.earn(),
    choose: (ask, nowMs) => chooser.choose(ask, nowMs),
    keeperOf({ provider, upstreamModel }, accountId, nowMs) {
      return keys.pick(provider, upstreamModel, () => false, keeperHash(accountId), nowMs) ?? provider.keys[0]!;
    },
    answered(route) {
      if (route.trial) circuits.answered(circuits.of(route.candidate));
    },
    succeeded(route, account, nowMs) {
      const guards = circuits.of(route.candidate);
      if (route.trial) circuits.answered(guards);
      circuits.passed(guards, account, nowMs);
      keys.worked(route.candidate.provider.id, route.key, route.candidate.upstreamModel, nowMs);
    },
    failed(route, failure, seen, nowMs) {
      const { candidate, key, trial } = route;
      const guards = circuits.of(candidate);
      const reason = restReason(seen.status, failure.record, seen.body);
      if (reason) {
        const why = { reason, retryAfterMs: seen.retryAfterMs, account: seen.account };
        const rested = keys.rest(candidate.provider.id, key, candidate.upstreamModel, why, nowMs);
        if (rested && reason !== "rate_limited") report(route, reason, seen.status);
      }
      const { circuit, ownDoing = false } = ruleOf(failure);
      // One call that tries again and again is one failure.
      if (circuit && (trial || !seen.again)) {
        circuits.failed(guards, circuit, { reason: failure.record, trial, account: seen.account, ownDoing }, nowMs);
      } else if (trial && seen.status !== null) circuits.answered(guards);
      else if (trial) circuits.dropTrial(guards);
    },
    abandoned(route) {
      if (route.trial) circuits.dropTrial(circuits.of(route.candidate));
    },
    pause(ask, { round, firstSentMs }, nowMs) {
      const { retry } = config;
      if (draining || ask.tries.length >= retry.maxAttempts) return undefined;
      const { best, asking, inMs } = chooser.look({ ...ask, roundFrom: ask.tries.length }, nowMs);
      const soonest = best || asking ? 0 : (inMs ?? Infinity);
      if (soonest > retry.capMs) return undefined;
      const ms = Math.max(pauseBefore(round, retry, random), soonest);
      if (nowMs + ms - firstSentMs > retry.withinMs) return undefined;
      return allowance.spend(nowMs) ? ms : undefined;
    },
    later(ms, then) {
      if (draining) ms = 0;
      const run = (): void => {
        cancel();
        then();
      };
      const timer = setTimeout(run, ms);
      timer.unref();
      const cancel = (): void => {
        clearTimeout(timer);
        pending.delete(run);
      };
      pending.add(run);
      return cancel;
    },
    drain() {
      draining = true;
      for (const run of pending) run();
    },
    get draining() {
      return draining;
    },
    health: (providerId) => healthOf(circuits, keys, providerId, performance.now()),
    reset(providerId) {
      shared.forget(RESET + providerId, clear(providerId));
      log.info({ provider: providerId }, "a provider's circuits and keys were reset");
    },
    start: () => shared.start(),
    stop: () => shared.stop(),
  };
}
