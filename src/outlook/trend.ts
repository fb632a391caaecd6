/** A figure as it was at a moment. */
export interface Sample {
  atMs: number;
  value: number;
}

/** Where a figure goes. */
export interface Trend {
  /** The median of the slopes between all pairs of samples (Theil and Sen): single peaks do not move it. */
  perHour: number;
  /** How much of the pairs agree which way it goes, 0 to 1 (Kendall's tau, without its sign). */
  steadiness: number;
}

const HOUR_MS = 3_600_000;
/** More samples than this are thinned out: the work grows with their square. */
const MOST_SAMPLES = 300;

function thinned(samples: readonly Sample[]): readonly Sample[] {
  if (samples.length <= MOST_SAMPLES) return samples;
  const stride = samples.length / MOST_SAMPLES;
  return Array.from({ length: MOST_SAMPLES }, (_, n) => samples[Math.floor((n + 1) * stride) - 1]!);
}

/** The trend of samples in the order of time; undefined for less than two moments. */
export function trendOf(all: readonly Sample[]): Trend | undefined {
  const samples = thinned(all);
  const slopes: number[] = [];
  let sign = 0;
  for (const [n, later] of samples.entries()) {
    for (const earlier of samples.slice(0, n)) {
      const passed = later.atMs - earlier.atMs;
      if (passed <= 0) continue;
      slopes.push((later.value - earlier.value) / passed);
      sign += Math.sign(later.value - earlier.value);
    }
  }
  if (slopes.length === 0) return undefined;
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  const median = slopes.length % 2 === 1 ? slopes[middle]! : (slopes[middle - 1]! + slopes[middle]!) / 2;
  return { perHour: median * HOUR_MS, steadiness: Math.abs(sign) / slopes.length };
}

/** When a figure that goes on so reaches its limit, in hours from now; 0 when it has, undefined when it never does. */
export function hoursLeft(value: number, limit: number, rising: boolean, perHour: number): number | undefined {
  const left = rising ? limit - value : value - limit;
  if (left <= 0) return 0;
  const speed = rising ? perHour : -perHour;
  return speed > 0 ? left / speed : undefined;
}
