import type { Logger } from "../../platform/logger.ts";
import type { Redis } from "../../platform/redis.ts";
import { createLocalLimiter, permitOf, type LocalLimiter } from "./local.ts";
import { ADMIT, permitsKey, rateKey, RELEASE, RENEW } from "./script.ts";
import { REST_MS, SLOW_MS, type CallLimits, type Limiter, type LimitVerdict, type Permit } from "./types.ts";

export type { Limiter, LimitVerdict, Permit } from "./types.ts";

type Reply = [reason: number, limit: number, remaining: number, resetMs: number, retryMs: number];

interface Scripted {
  tollkeeperAdmit(...args: (string | number)[]): Promise<Reply>;
  tollkeeperRelease(...args: (string | number)[]): Promise<unknown>;
  tollkeeperRenew(...args: (string | number)[]): Promise<unknown>;
}

interface Waiting {
  limits: CallLimits;
  callId: string | undefined;
  sinceMs: number;
  resolve: ((verdict: LimitVerdict) => void) | undefined;
}

/** The limits of all copies together, kept in Redis; while Redis is gone or slow each copy applies the same rules for itself. */
export function createLimiter(deps: { redis: Redis; log: Logger; now?: () => number; local?: LocalLimiter }): Limiter {
  const { redis, log } = deps;
  const now = deps.now ?? (() => performance.now());
  const local = deps.local ?? createLocalLimiter();
  redis.defineCommand("tollkeeperAdmit", { lua: ADMIT, numberOfKeys: 4 });
  redis.defineCommand("tollkeeperRelease", { lua: RELEASE });
  redis.defineCommand("tollkeeperRenew", { lua: RENEW, numberOfKeys: 1 });
  const scripts = redis as unknown as Scripted;
  const waiting: Waiting[] = [];
  let localUntilMs = -1;
  let sweptMs = now();

  let corked = false;

  /** Commands of one turn of the event loop go out in one write: the system call costs more than the command. */
  function gather(): void {
    const { stream } = redis;
    if (corked || !stream) return;
    corked = true;
    stream.cork();
    setImmediate(() => {
      corked = false;
      stream.uncork();
    });
  }

  const usable = (nowMs: number): boolean => redis.status === "ready" && nowMs >= localUntilMs;

  function rest(nowMs: number, why: string): void {
    if (nowMs >= localUntilMs) log.warn({ why }, "limits are kept locally for now");
    localUntilMs = nowMs + REST_MS;
  }

  function answer(item: Waiting, reply: Reply): void {
    const { limits, resolve } = item;
    const permit = permitOf(limits, item.callId);
    const [reason, limit, remaining, resetMs, retryMs] = reply;
    if (!resolve) {
      // Decided locally meanwhile; the live call's next renewal takes the place again if it still runs.
      if (reason === 0 && permit) sendRelease(permit);
      return;
    }
    item.resolve = undefined;
    const rate = limit > 0 ? { limit, remaining, resetMs } : undefined;
    if (reason === 0) {
      local.follow(limits, permit, item.sinceMs);
      resolve({ allowed: true, rate, permit });
    } else {
      resolve({ allowed: false, reason: reason <= 2 ? "rate" : "parallel", scope: reason % 2 === 1 ? "user" : "key", rate, retryMs });
    }
  }

  function decideLocally(item: Waiting, nowMs: number): void {
    const { resolve } = item;
    item.resolve = undefined;
    resolve?.(local.admit(item.limits, item.callId, nowMs));
  }

  function sendRelease(permit: Permit): void {
    const keys: string[] = [];
    if (permit.userLimited) keys.push(permitsKey(permit.userId));
    if (permit.keyLimited) keys.push(permitsKey(permit.userId, permit.keyId));
    if (redis.status !== "ready") return;
    gather();
    scripts.tollkeeperRelease(keys.length, ...keys, permit.id).catch(() => undefined);
  }

  return {
    admit(limits, callId) {
      const sinceMs = now();
      if (!usable(sinceMs)) return Promise.resolve(local.admit(limits, callId, sinceMs));
      return new Promise((resolve) => {
        const item: Waiting = { limits, callId, sinceMs, resolve };
        waiting.push(item);
        const { userId, keyId } = limits;
        gather();
        scripts
          .tollkeeperAdmit(
            rateKey(userId),
            rateKey(userId, keyId),
            permitsKey(userId),
            permitsKey(userId, keyId),
            limits.userPerMinute ?? 0,
            limits.keyPerMinute ?? 0,
            limits.userParallel ?? 0,
            limits.keyParallel ?? 0,
            callId ?? "",
          )
          .then(
            (reply) => answer(item, reply),
            (error: unknown) => {
              if (!item.resolve) return;
              const nowMs = now();
              rest(nowMs, String((error as Error).message));
              decideLocally(item, nowMs);
            },
          );
        // Answers come in order: the head of the queue is the oldest one still open.
        while (waiting.length > 0 && waiting[0]!.resolve === undefined) waiting.shift();
      });
    },
    release(permit) {
      local.release(permit);
      sendRelease(permit);
    },
    renew(permits) {
      if (redis.status !== "ready") return;
      const byKey = new Map<string, string[]>();
      for (const permit of permits) {
        for (const [limited, key] of [
          [permit.userLimited, permitsKey(permit.userId)],
          [permit.keyLimited, permitsKey(permit.userId, permit.keyId)],
        ] as const) {
          if (!limited) continue;
          const ids = byKey.get(key);
          if (ids) ids.push(permit.id);
          else byKey.set(key, [permit.id]);
        }
      }
      for (const [key, ids] of byKey) scripts.tollkeeperRenew(key, ...ids).catch(() => undefined);
    },
    tick(nowMs) {
      while (waiting.length > 0 && waiting[0]!.resolve === undefined) waiting.shift();
      if (waiting.length > 0 && nowMs - waiting[0]!.sinceMs > SLOW_MS) {
        rest(nowMs, "slow");
        for (const item of waiting.splice(0)) if (item.resolve) decideLocally(item, nowMs);
      }
      if (nowMs - sweptMs > 60_000) {
        sweptMs = nowMs;
        local.sweep(nowMs);
      }
    },
  };
}
