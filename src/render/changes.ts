import { formatCredits } from "../platform/credits.ts";
import { afterCommit, type Queryable } from "../platform/postgres.ts";
import type { TellDeps } from "./deps.ts";
import { writeLogs } from "./logs.ts";
import { decide, isOver, type Action, type Outcome, type State } from "./states.ts";
import { TASK_COLUMNS, type TaskRow } from "./task.ts";

/** Why a task is in its state, where that is not plain. */
export interface Reason {
  code: string;
  message: string;
}

export type Changed = { outcome: Exclude<Outcome, { kind: "refused" }>; task: TaskRow } | { outcome: { kind: "refused"; why: string } };

/**
 * Applies an action to a task that the caller's transaction has locked: by the one table of states, recorded, logged and told to whoever
 * watches once it is committed.
 */
export async function applyAction(
  tx: Queryable,
  { publish, emit }: TellDeps,
  task: TaskRow,
  action: Exclude<Action, "remove">,
  reason?: Reason,
): Promise<Changed> {
  const outcome = decide(task.state, action);
  if (outcome.kind !== "moved") return outcome.kind === "refused" ? { outcome } : { outcome, task };
  const { to } = outcome;
  const { rows } = await tx.query<TaskRow>(
    `UPDATE render_tasks SET state = $2, reason = $3, reason_message = $4, revision = revision + 1, updated_at = now(),
       started_at = CASE WHEN $2 = 'rendering' THEN coalesce(started_at, now()) ELSE started_at END,
       ended_at = CASE WHEN $5 THEN now() END, hold_id = CASE WHEN $5 THEN NULL ELSE hold_id END
     WHERE id = $1 RETURNING ${TASK_COLUMNS}`,
    [task.id, to, reason?.code ?? null, reason?.message ?? null, isOver(to)],
  );
  const changed = rows[0]!;
  await tx.query("INSERT INTO render_changes (task_id, no, from_state, to_state, reason) VALUES ($1, $2, $3, $4, $5)", [
    task.id,
    changed.revision,
    task.state,
    to,
    reason?.code ?? null,
  ]);
  const line = reason ? `${to}: ${reason.message}` : to;
  await writeLogs(tx, task.id, [{ level: to === "failed" ? "error" : reason ? "warn" : "info", message: `The task is ${line}` }]);
  afterCommit(tx, () => {
    publish(statusMessage(changed, task.state));
    emit(changeEvent(changed, task.state));
  });
  return { outcome, task: changed };
}

/** For the activity log, metrics and other consumers. */
const changeEvent = (task: TaskRow, from: State) => ({
  kind: "task.changed" as const,
  user_id: task.user_id,
  task_id: task.id,
  engine: task.engine,
  status: task.state,
  previous: from,
  reason: task.reason,
  total_frames: task.total_frames,
  done_frames: task.done_frames,
  cost: formatCredits(task.cost),
});

/** Tells whoever watches which state a task has come to, and why. */
export function statusMessage(task: TaskRow, from: State) {
  const { id, user_id, state, reason, reason_message } = task;
  return {
    userId: user_id,
    type: "task.status" as const,
    data: { task_id: id, status: state, previous: from, reason, message: reason_message },
  };
}
