/** Redis's clock as this process knows it, so that it can go on counting in the same windows when Redis is gone. */
export interface SharedClock {
  /** The shared time at a moment of this process's own clock, both in milliseconds. */
  at(nowMs: number): number;
  /** Redis said `sharedMs` in answer to what was sent at `sentMs`; it was read at `nowMs`. */
  heard(sharedMs: number, sentMs: number, nowMs: number): void;
}

/** An answer that took longer tells nothing. */
const TOLERANCE_MS = 50;

/** Begins with this machine's own time, until Redis has said its own. */
export function createSharedClock(nowMs: number, wallMs = Date.now()): SharedClock {
  let offset = wallMs - nowMs;
  return {
    at: (ms) => Math.floor(ms + offset),
    heard(sharedMs, sentMs, ms) {
      if (ms - sentMs > TOLERANCE_MS) return;
      const measured = sharedMs - ms;
      // An answer on its way makes the measure too small, never too large; much smaller, and the clock was set back.
      if (measured > offset || offset - measured > TOLERANCE_MS) offset = measured;
    },
  };
}
