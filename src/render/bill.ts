import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import { priceById } from "./prices/repository.ts";
import type { TaskRow } from "./task.ts";

/** What a task was charged and by which prices. The charges themselves are in the wallet's history, under the task's id. */
export async function billOf(pool: Pool, task: TaskRow) {
  const [price, { rows }] = await Promise.all([
    priceById(pool, task.price_id),
    pool.query<{ frames: number; seconds: number }>(
      `SELECT count(*)::integer AS frames, coalesce(sum(seconds), 0) AS seconds FROM render_frames WHERE task_id = $1 AND status = 'completed'`,
      [task.id],
    ),
  ]);
  return {
    task_id: task.id,
    status: task.state,
    estimated_cost: formatCredits(task.estimated_cost),
    cost: formatCredits(task.cost),
    frames: rows[0]!.frames,
    seconds: rows[0]!.seconds,
    price: {
      engine: price.engine,
      version: price.version,
      per_frame: formatCredits(price.perFrame),
      per_megasample: formatCredits(price.perMegasample),
      per_second: formatCredits(price.perSecond),
      percent: price.percent[task.priority],
    },
    charges: `/api/tasks/${task.id}/frames?status=completed`,
  };
}
