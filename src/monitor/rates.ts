import { secondOf, type StreamEntry } from "./messages.ts";
import { addSums, ratesOf, type Sums } from "./sums.ts";

/** A process that was not heard of for so long has no calls under way that anybody knows of. */
const LIVE_SECONDS = 3;

export type Rates = ReturnType<typeof createRates>;

/**
 * Sums by the second of Redis' clock. Every copy reads the same entries in the same order and adds up the same, so all listeners see the
 * same figures, whichever copy they are connected to.
 */
export function createRates(begin: number) {
  const seconds = new Map<number, Sums>();
  const processes = new Map<string, { live: number; second: number }>();
  // Of the second in which the reading begins a part is missing.
  let told = begin;

  function live(second: number): number {
    let calls = 0;
    for (const [name, seen] of processes) {
      if (seen.second < second - LIVE_SECONDS) processes.delete(name);
      else calls += seen.live;
    }
    return calls;
  }

  return {
    add({ id, process, sums, live: calls, state }: StreamEntry): void {
      if (state !== undefined) return;
      const second = secondOf(id);
      if (second <= told) return;
      processes.set(process, { live: calls, second });
      const sum = seconds.get(second) ?? {};
      addSums(sum, sums);
      seconds.set(second, sum);
    },
    /** The rates of every second up to `until` that was not told yet, oldest first; at most a few. */
    take(until: number): ReturnType<typeof ratesOf>[] {
      const rates = [];
      for (let second = Math.max(told + 1, until - LIVE_SECONDS); second <= until; second++) {
        rates.push(ratesOf(second, seconds.get(second) ?? {}, live(second)));
      }
      told = Math.max(told, until);
      for (const second of seconds.keys()) if (second <= told) seconds.delete(second);
      return rates;
    },
  };
}
