import type { Logger } from "../platform/logger.ts";

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 5_000;
/** After a release that found Postgres again, one more: the statement that made the holds may still have been running. */
const SECOND_LOOK_MS = 10_000;
/** More than this is left to the sweep, which finds every expired hold. */
const MAX_IDS = 100_000;

/**
 * Releases holds of which nobody knows whether they were made, as soon as Postgres can be reached again. The sweep does the same
 * when they expire; this only gives the credit back sooner.
 */
export function createLateRelease(deps: {
  /** Answers those that could not be released yet. */
  release: (ids: string[]) => Promise<readonly string[]>;
  log: Logger;
}) {
  const waiting = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  let delay = FIRST_DELAY_MS;
  let planned = false;

  function after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timer.unref();
    timers.add(timer);
  }

  function plan(): void {
    if (planned || waiting.size === 0) return;
    planned = true;
    after(delay, () => {
      planned = false;
      void attempt().then(plan);
    });
  }

  async function attempt(): Promise<void> {
    const ids = [...waiting].slice(0, 1_000);
    try {
      const left = await deps.release(ids);
      delay = left.length === 0 ? FIRST_DELAY_MS : Math.min(delay * 2, MAX_DELAY_MS);
      for (const id of ids) waiting.delete(id);
      // Behind all others.
      for (const id of left) waiting.add(id);
      after(SECOND_LOOK_MS, () => void deps.release(ids).catch(() => undefined));
    } catch (error) {
      delay = Math.min(delay * 2, MAX_DELAY_MS);
      deps.log.debug({ err: error, holds: waiting.size }, "holds wait for their release");
    }
  }

  return {
    add(ids: string[]): void {
      for (const id of ids) if (waiting.size < MAX_IDS) waiting.add(id);
      plan();
    },
    async close(): Promise<void> {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      planned = true;
      if (waiting.size > 0) await attempt();
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
