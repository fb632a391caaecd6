import type { Pool } from "../../platform/postgres.ts";

/**
 * Notes that a frame is begun; `done` when its picture is stored already. Tries are counted, so that a frame that kills every node it
 * meets is given up in the end.
 */
export async function beginFrame(
  pool: Pool,
  taskId: string,
  frame: number,
): Promise<{ kind: "done" } | { kind: "begun"; attempts: number }> {
  const { rows } = await pool.query<{ attempts: number }>(
    `INSERT INTO render_frames AS f (task_id, frame, attempts) VALUES ($1, $2, 1)
     ON CONFLICT (task_id, frame) DO UPDATE SET attempts = f.attempts + 1, status = 'rendering', updated_at = now()
       WHERE f.status IN ('rendering', 'failed')
     RETURNING attempts`,
    [taskId, frame],
  );
  return rows[0] ? { kind: "begun", attempts: rows[0].attempts } : { kind: "done" };
}

/** Notes a try that failed for a reason of the engine's. Returns how many have. */
export async function failFrame(pool: Pool, taskId: string, frame: number, reason: string): Promise<number> {
  const { rows } = await pool.query<{ failures: number }>(
    `UPDATE render_frames SET failures = failures + 1, error = $3, updated_at = now() WHERE task_id = $1 AND frame = $2 RETURNING failures`,
    [taskId, frame, reason],
  );
  return rows[0]?.failures ?? Number.MAX_SAFE_INTEGER;
}

/**
 * Notes that a frame's picture is stored: from now on it is charged once and never rendered again. False when nobody wants it any more,
 * because the task was over by then.
 */
export async function noteRendered(
  pool: Pool,
  taskId: string,
  frame: number,
  result: { fileId: string; seconds: number },
): Promise<boolean> {
  const { rowCount } = await pool.query(
    `UPDATE render_frames f SET status = 'rendered', file_id = $3, seconds = $4, error = NULL, updated_at = now()
     FROM (SELECT id FROM render_tasks WHERE id = $1 AND ended_at IS NULL FOR SHARE) t
     WHERE f.task_id = t.id AND f.frame = $2 AND f.status = 'rendering'`,
    [taskId, frame, result.fileId, result.seconds],
  );
  if (rowCount === 1) return true;
  // Another try of the same frame may have been quicker: its picture is the same file.
  const { rows } = await pool.query(
    "SELECT FROM render_frames WHERE task_id = $1 AND frame = $2 AND file_id = $3 AND status IN ('rendered', 'completed')",
    [taskId, frame, result.fileId],
  );
  return rows.length === 1;
}
