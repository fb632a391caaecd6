/** Redis's clock as this process knows it, so that it can go on counting in the same windows when Redis is gone. */
export interface SharedClock {
  /** The shared time at a moment of this process's own clock, both in milliseconds. */
  at(nowMs: number): number;
  /** Redis said `sharedMs`; the answer came at `nowMs`. */
  heard(sharedMs: number, nowMs: number): void;
}

/** An answer that is late by no more than this does not move the clock. */
const TOLERANCE_MS = 50;

/** Begins with this machine's own time, until Redis has said its own. */
export function createSharedClock(nowMs: number, wallMs = Date.now()): SharedClock {
  let offset = wallMs - nowMs;
  return {
    at: (ms) => Math.floor(ms + offset),
    heard(sharedMs, ms) {
      const measured = sharedMs - ms;
      // An answer on its way makes the measure too small, never too large.
      if (measured > offset || offset - measured > TOLERANCE_MS) offset = measured;
    },
  };
}
