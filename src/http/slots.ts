import { appError } from "../platform/errors.ts";

/** Places for work that takes long: few for each person, and few at all, so that nobody's is felt by others. */
export interface Slots {
  /** Takes a place and returns what frees it. Throws `rate_limited` when there is none. */
  take(userId: string): () => void;
  /** Does something in a place. */
  within<T>(userId: string, work: () => Promise<T>): Promise<T>;
}

const RETRY_S = 10;

/** Creates the places of this process; `what` names the work to whoever finds none free. */
export function createSlots(what: string, limits: { perUser: number; total: number }): Slots {
  const running = new Map<string, number>();
  let total = 0;

  function take(userId: string): () => void {
    const own = running.get(userId) ?? 0;
    if (own >= limits.perUser || total >= limits.total) {
      const message = own >= limits.perUser ? `${own} ${what} of yours are running; wait for one to end` : `Many ${what} are running`;
      throw appError("rate_limited", { message, retryAfter: RETRY_S });
    }
    running.set(userId, own + 1);
    total += 1;
    return () => {
      const left = running.get(userId)! - 1;
      if (left > 0) running.set(userId, left);
      else running.delete(userId);
      total -= 1;
    };
  }

  return {
    take,
    async within(userId, work) {
      const free = take(userId);
      try {
        return await work();
      } finally {
        free();
      }
    },
  };
}
