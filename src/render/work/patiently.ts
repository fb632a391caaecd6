import { setTimeout as delay } from "node:timers/promises";

const FIRST_MS = 500;
const MOST_MS = 15_000;
/** After this long another node may try its luck. */
const PATIENCE_MS = 30 * 60_000;

/**
 * Does what only needs our own parts (storage, Postgres) again until it succeeds: what was rendered is not to be rendered again because one
 * of them was away. Rejects when it is not wanted any more, or after half an hour.
 */
export async function patiently<T>(work: () => Promise<T>, signal: AbortSignal, onFailure: (error: unknown) => void): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (let pause = FIRST_MS; ; pause = Math.min(pause * 2, MOST_MS)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || Date.now() > until) throw error;
      onFailure(error);
      await delay(pause, undefined, { signal });
    }
  }
}
