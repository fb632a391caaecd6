/**
 * A sliding-window counter. The window begins with the first request, not with the clock's minute, so that a caller who was silent
 * gets exactly the limit in any burst; after that the previous window counts by the share of it that the last minute still covers. The
 * request that a window began with is over a minute ago when the window ends, and counts no more. The Lua script does the same arithmetic.
 */
export interface Window {
  readonly lengthMs: number;
  startMs: number;
  current: number;
  previous: number;
}

export const MINUTE_MS = 60_000;
export const SECOND_MS = 1_000;

/** A window that seems to begin later than now by less than this was begun by a clock that is a little ahead; beyond, the clock was set back. */
export const SKEW_MS = 1_000;

/** A window in which nothing was counted. */
export const newWindow = (lengthMs: number): Window => ({ lengthMs, startMs: 0, current: 0, previous: 0 });

/** Milliseconds of the window that are over. */
const elapsedOf = (window: Window, nowMs: number): number => Math.max(0, nowMs - window.startMs);

/** What still counts of the window when it ends. One that follows no other began with a request, which is then a whole window ago. */
const leftOf = ({ current, previous }: Window): number => (previous === 0 ? Math.max(0, current - 1) : current);

/** Moves the window up to `nowMs`, in place. */
export function roll(window: Window, nowMs: number): void {
  const { lengthMs } = window;
  const elapsed = nowMs - window.startMs;
  // A window in which nothing was counted is as good as none: the next request begins a new one.
  const counted = elapsed < lengthMs ? window.current + window.previous : leftOf(window);
  if (elapsed < -SKEW_MS || elapsed >= 2 * lengthMs || counted === 0) {
    window.startMs = nowMs;
    window.current = 0;
    window.previous = 0;
  } else if (elapsed >= lengthMs) {
    window.startMs += lengthMs;
    window.previous = counted;
    window.current = 0;
  }
}

/** What counts now; `window` must have been rolled to `nowMs`. */
export function usedOf(window: Window, nowMs: number): number {
  const { lengthMs, previous, current } = window;
  return previous === 0 ? current : Math.ceil((previous * (lengthMs - elapsedOf(window, nowMs))) / lengthMs) + current;
}

/** Until the present window is over. */
export const resetMsOf = (window: Window, nowMs: number): number => window.lengthMs - elapsedOf(window, nowMs);

/** Until `amount` more would be allowed if nothing else is counted meanwhile; Infinity when that is more than the limit itself. */
export function waitMsOf(window: Window, limit: number, amount: number, nowMs: number): number {
  if (amount > limit) return Infinity;
  const elapsed = elapsedOf(window, nowMs);
  const room = limit - amount - window.current;
  // Either the previous window has to fade within this one, or this one has to end and then fade in its turn.
  if (room >= 0) return Math.max(1, fadeMs(window.previous, room, window.lengthMs) - elapsed);
  return window.lengthMs - elapsed + fadeMs(leftOf(window), limit - amount, window.lengthMs);
}

/** How far a window must have moved on until no more than `room` of `count` is left. */
const fadeMs = (count: number, room: number, lengthMs: number): number =>
  count <= room ? 0 : lengthMs - Math.floor((room * lengthMs) / count);

/**
 * Corrects what was counted at `fromMs`, the start of the window it was counted in, by `by`. What is given back leaves the window it went
 * into; what comes on top was used until now.
 */
export function correct(window: Window, fromMs: number, by: number): void {
  if (by > 0 || window.startMs === fromMs) window.current = Math.max(0, window.current + by);
  else if (window.startMs === fromMs + window.lengthMs) window.previous = Math.max(0, window.previous + by);
}

/**
 * Takes in what another has seen of the same counter. Windows that began at the same moment are one and the same, so that the higher count
 * is the later one; otherwise two have counted apart, and nothing of either may be lost.
 */
export function merge(window: Window, other: Readonly<Window>, nowMs: number): void {
  const told = { ...other };
  roll(told, nowMs);
  roll(window, nowMs);
  if (told.current + told.previous === 0) return;
  const apart = window.startMs !== told.startMs && window.current + window.previous > 0;
  window.current = apart ? window.current + told.current : Math.max(window.current, told.current);
  window.previous = Math.max(window.previous, told.previous);
  window.startMs = apart ? Math.max(window.startMs, told.startMs) : told.startMs;
}
