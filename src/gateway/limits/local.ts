import { createCounters } from "./counters.ts";
import type { Ask, Check, LimitVerdict, Permit } from "./types.ts";
import { roll, type Window } from "./window.ts";

/** A rate as it stands, with the name of its counter. */
export type NamedWindow = Readonly<Window> & { id: string };

/** The limits as this process knows them. It follows every call, so that it can take over at any moment. */
export interface LocalLimiter {
  /** Decides and counts, for this process alone. */
  admit(ask: Ask, nowMs: number): LimitVerdict;
  /** Takes over what Redis has decided: `reply` as the script gives it, see script.ts. */
  follow(ask: Ask, reply: readonly number[]): LimitVerdict;
  /** Takes over what the standby has decided: how the rates stand after it, and the permit of a call that may run. */
  adopt(windows: Iterable<NamedWindow>, permit: Permit | undefined): void;
  /**
   * Ends a permit and counts `tokens`, not weighted, in place of what was reserved. Answers by how much each reservation was corrected,
   * or undefined when the permit had ended before and nothing changed.
   */
  release(permit: Permit, tokens: number, nowMs: number): number[] | undefined;
  /** Permits of calls that run. */
  readonly permits: ReadonlySet<Permit>;
  /** Rates that still matter at `nowMs`, except those of a second. */
  known(nowMs: number): NamedWindow[];
  /** Forgets callers who were silent for two windows. */
  sweep(nowMs: number): void;
}

/** Shorter windows are over before anybody else has heard of them. */
const SHORTEST_TOLD_MS = 10_000;

/** Creates the limiter of one process. `shadowed` is told of each call that a limit which is only looked at would have refused. */
export function createLocalLimiter(shadowed: (check: Check) => void = () => undefined): LocalLimiter {
  const counters = createCounters(shadowed);
  const permits = new Set<Permit>();

  function kept(verdict: LimitVerdict): LimitVerdict {
    if (verdict.allowed && verdict.permit) permits.add(verdict.permit);
    return verdict;
  }

  return {
    permits,
    admit: (ask, nowMs) => kept(counters.admit(ask, nowMs)),
    follow: (ask, reply) => kept(counters.follow(ask, reply)),
    adopt(windows, permit) {
      for (const { id, ...window } of windows) counters.windows.set(id, window);
      if (!permit) return;
      permits.add(permit);
      for (const id of permit.sets) counters.change(id, 1);
    },
    release(permit, tokens, nowMs) {
      const ran = permits.delete(permit);
      if (ran) for (const id of permit.sets) counters.change(id, -1);
      let corrected = false;
      const by = permit.reserved.map((reservation) => {
        const used = Math.ceil((tokens * permit.weightPercent) / 100);
        const difference = used - reservation.counted;
        reservation.counted = used;
        counters.correct(reservation, difference, nowMs);
        corrected ||= difference !== 0;
        return difference;
      });
      return ran || corrected ? by : undefined;
    },
    known(nowMs) {
      const told: NamedWindow[] = [];
      for (const [id, window] of counters.windows) {
        if (window.lengthMs < SHORTEST_TOLD_MS) continue;
        roll(window, nowMs);
        if (window.current + window.previous > 0) told.push({ id, ...window });
      }
      return told;
    },
    sweep(nowMs) {
      for (const [id, window] of counters.windows) if (nowMs - window.startMs >= 2 * window.lengthMs) counters.windows.delete(id);
    },
  };
}
