import type { Queryable } from "../platform/postgres.ts";
import type { Priority } from "./prices/price.ts";
import type { State } from "./states.ts";

/** A render task as it is kept. Amounts are micro-credits. */
export interface TaskRow {
  id: string;
  user_id: string;
  wallet_id: bigint;
  request_key: string | null;
  name: string;
  engine: string;
  scene_file_id: string | null;
  settings: Record<string, unknown>;
  frame_start: number;
  frame_end: number;
  frame_step: number;
  width: number;
  height: number;
  samples: number;
  output_format: string;
  priority: Priority;
  parallel: number;
  /** What a frame may use, in MiB. */
  memory_mb: number;
  /** The task queue of nodes that have as much; null on tasks older than such queues. */
  queue: string | null;
  callback_url: string | null;
  callback_secret: string | null;
  state: State;
  reason: string | null;
  reason_message: string | null;
  price_id: bigint;
  frame_seconds: number;
  frame_estimate: bigint;
  estimated_cost: bigint;
  cost: bigint;
  hold_id: string | null;
  total_frames: number;
  done_frames: number;
  current_frame: number | null;
  revision: number;
  created_at: Date;
  updated_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
}

export type FrameStatus = "rendering" | "rendered" | "completed" | "failed";

export interface FrameRow {
  frame: number;
  status: FrameStatus;
  failures: number;
  attempts: number;
  seconds: number | null;
  file_id: string | null;
  cost: bigint | null;
  error: string | null;
  updated_at: Date;
}

export const TASK_COLUMNS = `id, user_id, wallet_id, request_key, name, engine, scene_file_id, settings, frame_start, frame_end, frame_step,
  width, height, samples, output_format, priority, parallel, memory_mb, queue, callback_url, callback_secret, state, reason, reason_message, price_id,
  frame_seconds, frame_estimate, estimated_cost, cost, hold_id, total_frames, done_frames, current_frame, revision, created_at, updated_at,
  started_at, ended_at`;

/** How many frames a range has. */
export const countFrames = (range: { frame_start: number; frame_end: number; frame_step: number }): number =>
  Math.floor((range.frame_end - range.frame_start) / range.frame_step) + 1;

/** Somebody's task; undefined also for somebody else's. */
export async function findTask(db: Queryable, userId: string, id: string): Promise<TaskRow | undefined> {
  const { rows } = await db.query<TaskRow>(`SELECT ${TASK_COLUMNS} FROM render_tasks WHERE id = $1 AND user_id = $2`, [id, userId]);
  return rows[0];
}

/** Whether this is a task of this person's. */
export async function ownsTask(db: Queryable, userId: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query("SELECT FROM render_tasks WHERE id = $1 AND user_id = $2", [id, userId]);
  return rowCount === 1;
}

export async function readTask(db: Queryable, id: string): Promise<TaskRow | undefined> {
  const { rows } = await db.query<TaskRow>(`SELECT ${TASK_COLUMNS} FROM render_tasks WHERE id = $1`, [id]);
  return rows[0];
}

/** Locks a task until the transaction ends. Always before its wallet. */
export async function lockTask(tx: Queryable, id: string): Promise<TaskRow | undefined> {
  const { rows } = await tx.query<TaskRow>(`SELECT ${TASK_COLUMNS} FROM render_tasks WHERE id = $1 FOR UPDATE`, [id]);
  return rows[0];
}

export async function findByRequestKey(db: Queryable, userId: string, key: string): Promise<TaskRow | undefined> {
  const { rows } = await db.query<TaskRow>(`SELECT ${TASK_COLUMNS} FROM render_tasks WHERE user_id = $1 AND request_key = $2`, [
    userId,
    key,
  ]);
  return rows[0];
}

/** Tasks of somebody that are not over. */
export async function countOpen(db: Queryable, userId: string): Promise<number> {
  const { rows } = await db.query<{ open: number }>(
    "SELECT count(*)::integer AS open FROM render_tasks WHERE user_id = $1 AND ended_at IS NULL",
    [userId],
  );
  return rows[0]!.open;
}

export type NewTask = Omit<
  TaskRow,
  | "state"
  | "reason"
  | "reason_message"
  | "cost"
  | "done_frames"
  | "current_frame"
  | "revision"
  | "created_at"
  | "updated_at"
  | "started_at"
  | "ended_at"
>;

export async function insertTask(tx: Queryable, task: NewTask): Promise<TaskRow> {
  const columns = Object.keys(task);
  const values = Object.values(task).map((value) => (typeof value === "object" && value !== null ? JSON.stringify(value) : value));
  const { rows } = await tx.query<TaskRow>(
    `INSERT INTO render_tasks (${columns.join(", ")}) VALUES (${columns.map((_, i) => `$${i + 1}`).join(", ")}) RETURNING ${TASK_COLUMNS}`,
    values,
  );
  return rows[0]!;
}

/** How a task stands, as its workflow is told. */
export interface Standing {
  state: State | "gone";
  /** Finished frames. */
  done: number;
  /** Changes of state so far: the higher one is the newer answer. */
  revision: number;
}

export const standingOf = (task: Pick<TaskRow, "state" | "done_frames" | "revision"> | undefined): Standing =>
  task
    ? { state: task.state, done: task.done_frames, revision: task.revision }
    : { state: "gone", done: 0, revision: Number.MAX_SAFE_INTEGER };

/** A page of somebody's tasks, newest first. */
export async function listTasks(
  db: Queryable,
  filter: { userId: string; state: State | undefined; limit: number; offset: number },
): Promise<{ tasks: TaskRow[]; total: number }> {
  const where = "WHERE user_id = $1 AND ($2::text IS NULL OR state = $2)";
  const values = [filter.userId, filter.state ?? null];
  const count = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM render_tasks ${where}`, values);
  const { rows } = await db.query<TaskRow>(
    `SELECT ${TASK_COLUMNS} FROM render_tasks ${where} ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4`,
    [...values, filter.limit, filter.offset],
  );
  return { tasks: rows, total: Number(count.rows[0]!.total) };
}

/** A page of a task's frames that have begun, in their order. */
export async function listFrames(
  db: Queryable,
  taskId: string,
  filter: { status: FrameStatus | undefined; limit: number; offset: number },
): Promise<{ frames: FrameRow[]; total: number }> {
  const where = "WHERE task_id = $1 AND ($2::text IS NULL OR status = $2)";
  const values = [taskId, filter.status ?? null];
  const count = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM render_frames ${where}`, values);
  const { rows } = await db.query<FrameRow>(
    `SELECT frame, status, failures, attempts, seconds, file_id, cost, error, updated_at FROM render_frames ${where}
     ORDER BY frame LIMIT $3 OFFSET $4`,
    [...values, filter.limit, filter.offset],
  );
  return { frames: rows, total: Number(count.rows[0]!.total) };
}
