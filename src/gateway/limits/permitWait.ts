import { setTimeout as delay } from "node:timers/promises";
import type { Ask, Limiter, LimitVerdict } from "./types.ts";

/** Lets calls wait a moment for one of their caller's calls to end, in place of being refused. */
export interface PermitWait {
  /**
   * As {@link Limiter.admit}, but asks again while calls at once are what refuses. `waiting` is given a way to end the wait early; undefined
   * when it was.
   */
  admit(ask: Ask, callerId: string, waiting: (cancel: () => void) => void): Promise<LimitVerdict | undefined>;
}

/** Calls of one account that may wait here at a time; any more are refused at once. */
export const MOST_WAITING = 10;
/** Calls that end are told to Redis by every copy, and to nobody else. */
const AGAIN_MS = 50;

const ignore = (): void => undefined;
const parallel = (verdict: LimitVerdict): boolean => !verdict.allowed && verdict.kind === "parallel";

/** `waitMs`: how long a call waits at most; 0 for not at all. */
export function createPermitWait(limiter: Pick<Limiter, "admit">, waitMs: number): PermitWait {
  const waiters = new Map<string, number>();

  async function waitFor(ask: Ask, first: LimitVerdict, waiting: (cancel: () => void) => void): Promise<LimitVerdict | undefined> {
    const endMs = performance.now() + waitMs;
    const left = new AbortController();
    waiting(() => left.abort());
    let verdict = first;
    for (let nowMs = performance.now(); nowMs < endMs && parallel(verdict); nowMs = performance.now()) {
      await delay(Math.min(AGAIN_MS, endMs - nowMs), undefined, { signal: left.signal }).catch(ignore);
      if (left.signal.aborted) return undefined;
      verdict = await limiter.admit(ask);
    }
    return verdict;
  }

  return {
    async admit(ask, callerId, waiting) {
      const verdict = await limiter.admit(ask);
      if (waitMs === 0 || !parallel(verdict)) return verdict;
      const before = waiters.get(callerId) ?? 0;
      if (before >= MOST_WAITING) return verdict;
      waiters.set(callerId, before + 1);
      try {
        return await waitFor(ask, verdict, waiting);
      } finally {
        const rest = waiters.get(callerId)! - 1;
        if (rest > 0) waiters.set(callerId, rest);
        else waiters.delete(callerId);
      }
    },
  };
}
