import { createPermitQueue, isFull, refusedBy, type Waiter } from "./permitQueue.ts";
import type { Ask, Limiter, LimitVerdict, Permit } from "./types.ts";

/** Lets calls wait a moment for one of their caller's calls to end, in place of being refused. */
export interface PermitWait {
  /**
   * As {@link Limiter.admit}, but a call that is refused for calls at once waits for its turn. `waiting` is given a way to end the wait
   * early; undefined when it was.
   */
  admit(ask: Ask, who: Waiter, waiting: (leave: () => void) => void): Promise<LimitVerdict | undefined>;
  /** A permit of this copy has ended. */
  freed(permit: Permit): void;
}

/** `waitMs`: how long a call waits at most; 0 for not at all. */
export function createPermitWait(limiter: Pick<Limiter, "admit" | "release">, waitMs: number): PermitWait {
  const queue = createPermitQueue(limiter);
  const countersOf = ({ plan: { checks, rates } }: Ask): string[] => checks.slice(rates).flatMap(({ id, shadow }) => (shadow ? [] : [id]));

  return {
    async admit(ask, who, waiting) {
      const counters = waitMs === 0 ? [] : countersOf(ask);
      // Whoever came first has the next place.
      let refusal = queue.size === 0 ? undefined : queue.refusalOf(counters);
      if (!refusal) {
        const verdict = await limiter.admit(ask);
        if (waitMs === 0 || !isFull(verdict) || !queue.hasRoom(who)) return verdict;
        refusal = verdict;
      } else if (!queue.hasRoom(who)) return refusedBy(refusal);
      const place = queue.wait(who, { ask, counters, untilMs: performance.now() + waitMs, refusal });
      waiting(place.leave);
      return place.verdict;
    },
    freed: ({ sets }) => queue.freed(sets),
  };
}
