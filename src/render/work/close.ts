import { afterCommit, inTransaction, type PoolClient } from "../../platform/postgres.ts";
import { addCallback } from "../callbacks.ts";
import { applyAction, type Reason } from "../changes.ts";
import type { WorkDeps } from "../deps.ts";
import { isOver } from "../states.ts";
import { lockTask, standingOf, type Standing, type TaskRow } from "../task.ts";
import { pauseUnpaid, settleBatch } from "./settle.ts";

export interface Closing {
  taskId: string;
  as: "complete" | "fail" | "cancel";
  reason?: Reason;
}

/**
 * Ends a task: finished frames are charged, what is left of the hold is released, the owner's callback is queued. Frames that were rendered
 * but are not covered are not charged and not handed out. Answers how it stands then: as it was when it was over before, and, asked to
 * complete, as it is while frames are not finished or not paid.
 */
export async function closeTask(deps: WorkDeps, closing: Closing): Promise<Standing> {
  for (;;) {
    const closed = await inTransaction(deps.pool, async (tx) => {
      const task = await lockTask(tx, closing.taskId);
      if (!task || isOver(task.state)) return standingOf(task);
      const settled = await settleBatch(deps, tx, task);
      if (settled.more && !settled.unpaid) return undefined;
      if (closing.as === "complete" && settled.unpaid) return standingOf(await pauseUnpaid(deps, tx, settled));
      if (closing.as === "complete" && settled.task.done_frames < settled.task.total_frames) return standingOf(settled.task);
      return end(deps, tx, settled.task, closing);
    });
    if (closed) return closed;
  }
}

async function end(deps: WorkDeps, tx: PoolClient, task: TaskRow, { as, reason }: Closing): Promise<Standing> {
  const changed = await applyAction(tx, deps, task, as, reason);
  if (!("task" in changed)) throw new Error(changed.outcome.why);
  if (task.hold_id) await deps.ledger.releaseWithin(tx, task.hold_id);
  const { rows: unfinished } = await tx.query<{ file_id: string | null }>(
    `UPDATE render_frames SET status = 'failed', error = coalesce(error, CASE status WHEN 'rendered' THEN 'not paid' ELSE 'not finished' END),
       updated_at = now() WHERE task_id = $1 AND status IN ('rendering', 'rendered') RETURNING file_id`,
    [task.id],
  );
  // What is not paid is not handed out, by no way.
  const unpaid = unfinished.flatMap(({ file_id: id }) => id ?? []);
  afterCommit(tx, () => {
    for (const id of unpaid) void deps.files.remove(task.user_id, id).catch(() => undefined);
  });
  const callback = await addCallback(tx, changed.task);
  // While Redis is away the sweep asks for the try.
  if (callback) afterCommit(tx, () => void deps.notify.webhook({ deliveryId: callback, attempt: 0 }).catch(() => undefined));
  return standingOf(changed.task);
}
