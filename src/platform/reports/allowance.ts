const WINDOW_MS = 60_000;
const PER_WINDOW = 60;
const SAME_PER_WINDOW = 3;

/** Decides whether one more report may go out: an outage makes thousands of the same within a second, and a few tell it all. */
export function createAllowance(now: () => number = () => performance.now()): (what: string) => boolean {
  let windowMs = now();
  let total = 0;
  let seen = new Map<string, number>();
  return (what) => {
    const nowMs = now();
    if (nowMs - windowMs >= WINDOW_MS) {
      windowMs = nowMs;
      total = 0;
      seen = new Map();
    }
    const times = (seen.get(what) ?? 0) + 1;
    if (times > SAME_PER_WINDOW || total >= PER_WINDOW) return false;
    seen.set(what, times);
    total += 1;
    return true;
  };
}
