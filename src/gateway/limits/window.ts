/**
 * A sliding-window counter over one minute. The window begins with the first request, not with the clock's minute, so that a
 * caller who was silent gets exactly `limit` requests in any burst; after that the previous window counts by the share of it
 * that the last minute still covers. The Lua script does the same arithmetic.
 */
export interface Window {
  startMs: number;
  current: number;
  previous: number;
}

export const WINDOW_MS = 60_000;

/** What a counter says about one more request. */
export interface RateVerdict {
  allowed: boolean;
  /** Requests left after this one (when allowed) or now (when not). */
  remaining: number;
  /** Until the present window is over. */
  resetMs: number;
  /** Until one more request would be allowed; 0 when it is allowed now. */
  retryMs: number;
}

/** Moves the window up to `nowMs`, in place. */
export function roll(window: Window, nowMs: number): void {
  const elapsed = nowMs - window.startMs;
  // A window in which nothing was counted is as good as none: the next request begins a new one.
  const counted = elapsed < WINDOW_MS ? window.current + window.previous > 0 : window.current > 0;
  if (elapsed < 0 || elapsed >= 2 * WINDOW_MS || !counted) {
    window.startMs = nowMs;
    window.current = 0;
    window.previous = 0;
  } else if (elapsed >= WINDOW_MS) {
    window.startMs += WINDOW_MS;
    window.previous = window.current;
    window.current = 0;
  }
}

/** Decides on one more request without counting it; `window` must have been rolled to `nowMs`. */
export function judge(window: Window, limit: number, nowMs: number): RateVerdict {
  const elapsed = nowMs - window.startMs;
  const resetMs = WINDOW_MS - elapsed;
  const used = Math.ceil((window.previous * resetMs) / WINDOW_MS) + window.current;
  if (used < limit) return { allowed: true, remaining: limit - used - 1, resetMs, retryMs: 0 };
  return { allowed: false, remaining: 0, resetMs, retryMs: waitMs(window, limit, elapsed) };
}

function waitMs(window: Window, limit: number, elapsed: number): number {
  const room = limit - 1 - window.current;
  // Either the previous window has to fade within this one, or this one has to end and then fade in its turn.
  if (room >= 0) return Math.max(1, Math.ceil(WINDOW_MS * (1 - room / window.previous)) - elapsed);
  return WINDOW_MS - elapsed + Math.ceil(WINDOW_MS * (1 - (limit - 1) / window.current));
}
