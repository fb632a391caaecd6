import type { Queryable } from "../platform/postgres.ts";
import type { SceneReport } from "./engines/engine.ts";
import { frameCost, type Priority, type RenderRates } from "./prices/price.ts";

/** What is to be rendered, as far as it decides the price. */
export interface Planned {
  engine: string;
  width: number;
  height: number;
  samples: number;
  priority: Priority;
  frames: number;
}

export interface Estimate {
  /** Micro-credits. */
  perFrame: bigint;
  total: bigint;
  /** Rendering time of a frame. */
  frameSeconds: number;
}

/** Seconds of a frame where neither the engine nor history can say: for a million samples. */
const UNKNOWN_SECONDS = 1;
/** Frames finished before history counts. */
const ENOUGH_FRAMES = 20;

/**
 * How long a frame is likely to take: as the engine's check says, else as finished frames of that engine took, by their
 * samples, and no less than it takes to open the scene.
 */
export async function likelySeconds(
  db: Queryable,
  work: Planned,
  { secondsPerFrame, leastSeconds = 0 }: Pick<SceneReport, "secondsPerFrame" | "leastSeconds">,
): Promise<number> {
  if (secondsPerFrame !== undefined) return secondsPerFrame;
  const mega = (work.width * work.height * work.samples) / 1e6;
  const { rows } = await db.query<{ frames: bigint; megasamples: number; seconds: number }>(
    "SELECT frames, megasamples, seconds FROM render_speeds WHERE engine = $1",
    [work.engine],
  );
  const history = rows[0];
  const known = history && history.frames >= BigInt(ENOUGH_FRAMES) && history.megasamples > 0;
  return Math.max(leastSeconds, mega * (known ? history.seconds / history.megasamples : UNKNOWN_SECONDS));
}

/** What a task is likely to cost: this is held when it is made. */
export function estimate(rates: RenderRates, work: Planned, frameSeconds: number): Estimate {
  const perFrame = frameCost(rates, { ...work, seconds: frameSeconds });
  return { perFrame, total: perFrame * BigInt(work.frames), frameSeconds };
}

/** Adds finished frames to history. */
export async function noteSpeed(
  tx: Queryable,
  engine: string,
  done: { frames: number; megasamples: number; seconds: number },
): Promise<void> {
  await tx.query(
    `INSERT INTO render_speeds (engine, frames, megasamples, seconds) VALUES ($1, $2, $3, $4)
     ON CONFLICT (engine) DO UPDATE SET frames = render_speeds.frames + $2, megasamples = render_speeds.megasamples + $3,
       seconds = render_speeds.seconds + $4`,
    [engine, done.frames, done.megasamples, done.seconds],
  );
}
