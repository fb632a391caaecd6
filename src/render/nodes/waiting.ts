import { inTransaction, afterCommit, type Pool, type Queryable } from "../../platform/postgres.ts";
import { statusMessage, type Reason } from "../changes.ts";
import type { Publish } from "../live.ts";
import { writeLogs } from "../logs.ts";
import { TASK_COLUMNS, type TaskRow } from "../task.ts";
import { isServed, SERVED } from "./repository.ts";

/** Tasks for which there is no node: they say so, wait, and go on when one comes. */

const CODE = "no_node";
const AT_ONCE = 500;

const reasonFor = ({ engine, memory_mb }: Pick<TaskRow, "engine" | "memory_mb">): Reason => ({
  code: CODE,
  message: `no render node has ${engine} and ${memory_mb} MiB for a frame now: the task goes on when one comes`,
});

/** Why a task has to wait; undefined when some node takes its frames. */
export async function waitingReason(db: Queryable, task: Pick<TaskRow, "engine" | "memory_mb" | "queue">): Promise<Reason | undefined> {
  return task.queue === null || (await isServed(db, task.queue)) ? undefined : reasonFor(task);
}

/**
 * Says on tasks that nobody works on for want of a node that this is so, and takes it back where a node has come. For the regular
 * housekeeping; any number may run at once. Returns how many tasks it changed.
 */
export async function noteWaiting({ pool, publish }: { pool: Pool; publish: Publish }): Promise<number> {
  const { rows: due } = await pool.query<{ id: string }>(
    `SELECT t.id FROM render_tasks t WHERE t.ended_at IS NULL AND t.queue IS NOT NULL AND t.state IN ('queued', 'preparing', 'rendering')
       AND (t.reason IS NULL AND NOT ${SERVED} OR t.reason = '${CODE}' AND ${SERVED}) ORDER BY t.id LIMIT $1`,
    [AT_ONCE],
  );
  for (const { id } of due) await inTransaction(pool, (tx) => note(tx, publish, id));
  return due.length;
}

async function note(tx: Queryable, publish: Publish, id: string): Promise<void> {
  const { rows } = await tx.query<TaskRow & { served: boolean }>(
    `SELECT ${TASK_COLUMNS}, ${SERVED} AS served FROM render_tasks t
     WHERE id = $1 AND state IN ('queued', 'preparing', 'rendering') AND (reason IS NULL OR reason = '${CODE}') FOR UPDATE`,
    [id],
  );
  const task = rows[0];
  if (!task || task.served === (task.reason === null)) return;
  const reason = task.served ? undefined : reasonFor(task);
  const { rows: noted } = await tx.query<TaskRow>(
    `UPDATE render_tasks SET reason = $2, reason_message = $3, updated_at = now() WHERE id = $1 RETURNING ${TASK_COLUMNS}`,
    [id, reason?.code ?? null, reason?.message ?? null],
  );
  await writeLogs(tx, id, [
    { level: reason ? "warn" : "info", message: reason ? `The task waits: ${reason.message}` : "A render node has come: the task goes on" },
  ]);
  afterCommit(tx, () => publish(statusMessage(noted[0]!, task.state)));
}
