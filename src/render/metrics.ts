import type { Bus } from "../activity/index.ts";
import { SECONDS, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";

/** Frames that were charged together. */
export interface ChargedFrames {
  engine: string;
  frames: readonly { seconds: number; cost: bigint }[];
}

/** What rendering counts. Each copy counts what it did itself, so sums over all copies are the whole. */
export interface RenderMetrics {
  charged(done: ChargedFrames): void;
}

const MICRO = 1_000_000;

/** Declares what rendering counts; once per process. */
export function createRenderMetrics(metrics: Metrics, events: Pick<Bus, "on">): RenderMetrics {
  const changes = metrics.counters({
    name: "tollkeeper_render_changes_total",
    help: "Render tasks that came to a state, by engine.",
    labels: ["engine", "status"],
  });
  const frames = metrics.counters({
    name: "tollkeeper_render_frames_total",
    help: "Frames that were charged, by engine.",
    labels: ["engine"],
  });
  const credits = metrics.counters({
    name: "tollkeeper_render_credits_total",
    help: "Credits charged for frames, by engine.",
    labels: ["engine"],
  });
  const seconds = metrics.histograms({
    name: "tollkeeper_render_frame_seconds",
    help: "Rendering time of frames that were charged, by engine.",
    labels: ["engine"],
    buckets: SECONDS,
  });
  events.on("task.changed", ({ engine, status }) => changes.of(engine, status).add());
  return {
    charged({ engine, frames: done }) {
      frames.of(engine).add(done.length);
      for (const { seconds: took, cost } of done) {
        seconds.of(engine).observe(took);
        credits.of(engine).add(Number(cost) / MICRO);
      }
    },
  };
}

/** Tasks that are not over, as Postgres knows them: the same on every copy. */
export function watchTasks(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_render_tasks",
    help: "Render tasks that are not over, by state.",
    async read() {
      const { rows } = await pool.query<{ state: string; tasks: number }>(
        `SELECT s.state, count(t.id)::integer AS tasks FROM unnest(ARRAY['pending', 'queued', 'preparing', 'rendering', 'paused']) AS s (state)
         LEFT JOIN render_tasks t ON t.state = s.state AND t.ended_at IS NULL GROUP BY 1`,
      );
      return rows.map(({ state, tasks }) => ({ labels: { state }, value: tasks }));
    },
  });
}
