import { inTransaction } from "../../platform/postgres.ts";
import { applyAction } from "../changes.ts";
import type { WorkDeps } from "../deps.ts";
import { isOver } from "../states.ts";
import { lockTask, standingOf, type Standing } from "../task.ts";
import type { Scenes } from "./scenes.ts";

/**
 * Takes a queued task in hand on a render node: brings its scene here and lets rendering begin. A task that is paused or over by then stays
 * so. Safe to repeat at any point.
 */
export async function prepareTask(
  deps: WorkDeps & { scenes: Scenes },
  { taskId }: { taskId: string },
  signal: AbortSignal,
): Promise<Standing> {
  const begun = await inTransaction(deps.pool, async (tx) => {
    const task = await lockTask(tx, taskId);
    if (!task || isOver(task.state) || task.state === "paused" || task.state === "rendering") return task;
    const queued = await applyAction(tx, deps, task, "queue");
    const changed = await applyAction(tx, deps, "task" in queued ? queued.task : task, "prepare");
    return "task" in changed ? changed.task : task;
  });
  if (begun?.state !== "preparing") return standingOf(begun);
  if (begun.scene_file_id) await deps.scenes.local(begun.user_id, begun.scene_file_id, signal);
  return inTransaction(deps.pool, async (tx) => {
    const task = await lockTask(tx, taskId);
    if (!task) return standingOf(undefined);
    const changed = await applyAction(tx, deps, task, "render");
    return standingOf("task" in changed ? changed.task : task);
  });
}
