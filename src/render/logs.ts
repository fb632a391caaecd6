import type { Queryable } from "../platform/postgres.ts";
import type { LogLevel } from "./engines/engine.ts";

/** What is noted of a task's work, for its owner. */
export interface LogLine {
  level: LogLevel;
  message: string;
  frame?: number | undefined;
}

export interface LogRow {
  id: bigint;
  level: LogLevel;
  message: string;
  frame: number | null;
  created_at: Date;
}

/** Longer lines are cut: what a renderer prints is not ours. */
const LONGEST = 1_000;

const clean = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- exactly these are not wanted.
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "").slice(0, LONGEST);

/** Appends lines to a task's log; none when the task is gone. */
export async function writeLogs(db: Queryable, taskId: string, lines: readonly LogLine[]): Promise<void> {
  if (lines.length === 0) return;
  await db.query(
    `INSERT INTO render_logs (task_id, level, message, frame)
     SELECT t.id, q.level, q.message, q.frame
     FROM unnest($2::text[], $3::text[], $4::integer[]) WITH ORDINALITY AS q (level, message, frame, n) JOIN render_tasks t ON t.id = $1
     ORDER BY q.n`,
    [taskId, lines.map(({ level }) => level), lines.map(({ message }) => clean(message)), lines.map(({ frame }) => frame ?? null)],
  );
}

/** A page of a task's log, oldest first; with `after` only what came after that id. */
export async function listLogs(
  db: Queryable,
  taskId: string,
  filter: { after: bigint | undefined; level: LogLevel | undefined; frame: number | undefined; limit: number; offset: number },
): Promise<{ lines: LogRow[]; total: number }> {
  const where = `WHERE task_id = $1 AND ($2::bigint IS NULL OR id > $2) AND ($3::text IS NULL OR level = $3)
    AND ($4::integer IS NULL OR frame = $4)`;
  const values = [taskId, filter.after ?? null, filter.level ?? null, filter.frame ?? null];
  const count = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM render_logs ${where}`, values);
  const { rows } = await db.query<LogRow>(
    `SELECT id, level, message, frame, created_at FROM render_logs ${where} ORDER BY id LIMIT $5 OFFSET $6`,
    [...values, filter.limit, filter.offset],
  );
  return { lines: rows, total: Number(count.rows[0]!.total) };
}
