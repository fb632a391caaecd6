/** What a frame costs: pure, integer arithmetic in micro-credits, rounded up once. */

export const PRIORITIES = ["low", "normal", "high"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Prices of an engine; see the table render_prices. */
export interface RenderRates {
  /** Micro-credits a frame, a million samples (pixels times samples), a second. */
  perFrame: bigint;
  perMegasample: bigint;
  perSecond: bigint;
  /** Percent by priority. */
  percent: Readonly<Record<Priority, number>>;
}

/** What of a frame is charged. */
export interface FrameWork {
  width: number;
  height: number;
  samples: number;
  /** Rendering time; counted in whole milliseconds. */
  seconds: number;
  priority: Priority;
}

/** The parts of a frame's cost before the factor of its priority, each rounded up for showing; the cost itself is rounded once. */
export interface FrameParts {
  frame: bigint;
  samples: bigint;
  time: bigint;
}

const MEGA = 1_000_000n;
const MS = 1_000n;

const ceilDiv = (value: bigint, by: bigint): bigint => (value + by - 1n) / by;
const samplesOf = ({ width, height, samples }: FrameWork): bigint => BigInt(width) * BigInt(height) * BigInt(samples);
const millisecondsOf = ({ seconds }: FrameWork): bigint => BigInt(Math.max(0, Math.round(seconds * 1_000)));

/** The cost of one frame in micro-credits. */
export function frameCost(rates: RenderRates, work: FrameWork): bigint {
  // All parts in millionths of a micro-credit.
  const parts = rates.perFrame * MEGA + rates.perMegasample * samplesOf(work) + rates.perSecond * millisecondsOf(work) * (MEGA / MS);
  return ceilDiv(parts * BigInt(rates.percent[work.priority]), MEGA * 100n);
}

/** What a frame's cost is made of. */
export function frameParts(rates: RenderRates, work: FrameWork): FrameParts {
  return {
    frame: rates.perFrame,
    samples: ceilDiv(rates.perMegasample * samplesOf(work), MEGA),
    time: ceilDiv(rates.perSecond * millisecondsOf(work), MS),
  };
}
