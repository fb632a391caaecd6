import { judge, roll, type RateVerdict, type Window } from "./window.ts";
import type { CallLimits, LimitVerdict, Permit, RateFigures } from "./types.ts";

/** The same rules as the Redis script, for this process alone. It follows every call, so that it can take over at any moment. */
export interface LocalLimiter {
  /** Decides and counts. */
  admit(limits: CallLimits, callId: string | undefined, nowMs: number): LimitVerdict;
  /** Counts a call that Redis has allowed. */
  follow(limits: CallLimits, permit: Permit | undefined, nowMs: number): void;
  release(permit: Permit): void;
  /** Forgets callers who were silent for two windows. */
  sweep(nowMs: number): void;
}

/** Makes the permit of a call, or undefined when nothing limits how many run at once. */
export function permitOf(limits: CallLimits, callId: string | undefined): Permit | undefined {
  if (callId === undefined) return undefined;
  const userLimited = limits.userParallel !== undefined;
  const keyLimited = limits.keyParallel !== undefined;
  if (!userLimited && !keyLimited) return undefined;
  return { id: callId, userId: limits.userId, keyId: limits.keyId, userLimited, keyLimited };
}

/** The figures of the tighter of two verdicts. */
function tighter(scopes: { limit: number; verdict: RateVerdict }[]): RateFigures | undefined {
  let best: RateFigures | undefined;
  for (const { limit, verdict } of scopes) {
    if (!best || verdict.remaining < best.remaining) best = { limit, remaining: verdict.remaining, resetMs: verdict.resetMs };
  }
  return best;
}

/** Creates the limiter of one process. */
export function createLocalLimiter(): LocalLimiter {
  const windows = new Map<string, Window>();
  const running = new Map<string, number>();

  function windowOf(id: string, nowMs: number): Window {
    let window = windows.get(id);
    if (!window) windows.set(id, (window = { startMs: nowMs, current: 0, previous: 0 }));
    else roll(window, nowMs);
    return window;
  }

  function change(id: string, by: number): void {
    const next = (running.get(id) ?? 0) + by;
    if (next > 0) running.set(id, next);
    else running.delete(id);
  }

  function take(permit: Permit): void {
    change(`u:${permit.userId}`, 1);
    change(`k:${permit.keyId}`, 1);
  }

  return {
    admit(limits, callId, nowMs) {
      const counted: { scope: "user" | "key"; limit: number; window: Window; verdict: RateVerdict }[] = [];
      for (const scope of ["user", "key"] as const) {
        const limit = scope === "user" ? limits.userPerMinute : limits.keyPerMinute;
        if (limit === undefined) continue;
        const window = windowOf(scope === "user" ? `u:${limits.userId}` : `k:${limits.keyId}`, nowMs);
        const verdict = judge(window, limit, nowMs);
        if (!verdict.allowed) {
          return {
            allowed: false,
            reason: "rate",
            scope,
            rate: { limit, remaining: 0, resetMs: verdict.resetMs },
            retryMs: verdict.retryMs,
          };
        }
        counted.push({ scope, limit, window, verdict });
      }
      const rate = tighter(counted);
      const permit = permitOf(limits, callId);
      if (permit) {
        for (const scope of ["user", "key"] as const) {
          const max = scope === "user" ? limits.userParallel : limits.keyParallel;
          const now = running.get(scope === "user" ? `u:${limits.userId}` : `k:${limits.keyId}`) ?? 0;
          if (max !== undefined && now >= max) {
            return { allowed: false, reason: "parallel", scope, rate: rate && { ...rate, remaining: rate.remaining + 1 }, retryMs: 0 };
          }
        }
        take(permit);
      }
      for (const { window } of counted) window.current += 1;
      return { allowed: true, rate, permit };
    },
    follow(limits, permit, nowMs) {
      if (limits.userPerMinute !== undefined) windowOf(`u:${limits.userId}`, nowMs).current += 1;
      if (limits.keyPerMinute !== undefined) windowOf(`k:${limits.keyId}`, nowMs).current += 1;
      if (permit) take(permit);
    },
    release(permit) {
      change(`u:${permit.userId}`, -1);
      change(`k:${permit.keyId}`, -1);
    },
    sweep(nowMs) {
      for (const [id, window] of windows) if (nowMs - window.startMs >= 120_000) windows.delete(id);
    },
  };
}
