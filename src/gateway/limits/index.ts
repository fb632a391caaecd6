import type { Logger } from "../../platform/logger.ts";
import type { Redis } from "../../platform/redis.ts";
import { createSharedClock } from "./clock.ts";
import { createLocalLimiter } from "./local.ts";
import { createLimitStore } from "./store.ts";
import { REST_MS, SLOW_MS, type Ask, type Check, type Limiter, type LimitVerdict, type Permit } from "./types.ts";

export { plansOf } from "./callers.ts";
export { limitRoutes } from "./settings/routes.ts";
export { createSharedLimits, type SharedLimits } from "./settings/shared.ts";
export { createShadowLog } from "./shadow.ts";
export type { Limiter, LimitVerdict, Permit } from "./types.ts";

interface Waiting {
  ask: Ask;
  sinceMs: number;
  /** Undefined once it was decided. */
  resolve: ((verdict: LimitVerdict) => void) | undefined;
  /** What was decided locally. */
  permit: Permit | undefined;
}

const UNLIMITED: LimitVerdict = { allowed: true, permit: undefined, requests: undefined, tokens: undefined };
const SWEEP_MS = 60_000;

/** The limits of all copies together, kept in Redis; while Redis is gone or slow each copy applies the same rules for itself. */
export function createLimiter(deps: {
  redis: Redis;
  log: Logger;
  /** How long a permit lives that nobody renews. */
  leaseMs: number;
  now?: () => number;
  /** Told of each call that a limit which is only looked at would have refused. */
  shadowed?: (check: Check) => void;
}): Limiter {
  const { redis, log, leaseMs } = deps;
  const now = deps.now ?? (() => performance.now());
  const clock = createSharedClock(now());
  const local = createLocalLimiter(deps.shadowed);
  const store = createLimitStore(redis, leaseMs);
  const waiting: Waiting[] = [];
  let localUntilMs = -1;
  let sweptMs = now();
  let renewedMs = now();

  function rest(nowMs: number, why: string): void {
    if (nowMs >= localUntilMs) log.warn({ why }, "limits are kept locally for now");
    localUntilMs = nowMs + REST_MS;
  }

  function decideLocally(item: Waiting, nowMs: number): void {
    const { resolve } = item;
    item.resolve = undefined;
    const verdict = local.admit(item.ask, clock.at(nowMs));
    if (verdict.allowed) item.permit = verdict.permit;
    resolve?.(verdict);
  }

  function answer(item: Waiting, reply: number[]): void {
    clock.heard(reply[1]!, now());
    const { ask, resolve } = item;
    item.resolve = undefined;
    if (resolve) return resolve(local.follow(ask, reply));
    // Decided locally meanwhile. What Redis has counted stays if the call runs; else its permit goes back.
    if (reply[0] === 0 && !(item.permit && local.permits.has(item.permit))) giveBack(ask);
  }

  /** Returns what Redis has taken for a call that does not run. */
  function giveBack({ plan, callId, weightPercent }: Ask): void {
    const sets = plan.checks.slice(plan.rates).map(({ id }) => id);
    if (sets.length > 0) store.release({ id: callId, sets, reserved: [], weightPercent }, []);
  }

  /** Answers come in order: the head of the queue is the oldest one still open. */
  function forgetDecided(): void {
    while (waiting.length > 0 && waiting[0]!.resolve === undefined) waiting.shift();
  }

  // A Redis that was restarted has forgotten the calls that run; they stand in it again before any new one.
  redis.on("ready", () => store.renew(local.permits));

  return {
    admit(ask) {
      if (ask.plan.checks.length === 0) return Promise.resolve(UNLIMITED);
      const sinceMs = now();
      if (!store.ready || sinceMs < localUntilMs) return Promise.resolve(local.admit(ask, clock.at(sinceMs)));
      return new Promise((resolve) => {
        const item: Waiting = { ask, sinceMs, resolve, permit: undefined };
        waiting.push(item);
        store.admit(ask).then(
          (reply) => answer(item, reply),
          (error: unknown) => {
            if (!item.resolve) return;
            const nowMs = now();
            rest(nowMs, String((error as Error).message));
            decideLocally(item, nowMs);
          },
        );
        forgetDecided();
      });
    },
    release(permit, tokens) {
      const runs = local.permits.has(permit);
      const by = local.release(permit, tokens, clock.at(now()));
      if (runs || by.some((tokensMore) => tokensMore !== 0)) store.release(permit, by);
    },
    tick(nowMs) {
      forgetDecided();
      if (waiting.length > 0 && nowMs - waiting[0]!.sinceMs > SLOW_MS) {
        rest(nowMs, "slow");
        for (const item of waiting.splice(0)) if (item.resolve) decideLocally(item, nowMs);
      }
      if (nowMs - renewedMs > leaseMs / 3) {
        renewedMs = nowMs;
        store.renew(local.permits);
      }
      if (nowMs - sweptMs > SWEEP_MS) {
        sweptMs = nowMs;
        local.sweep(clock.at(nowMs));
      }
    },
    get local() {
      return !store.ready || now() < localUntilMs;
    },
  };
}
