import { ApplicationFailure } from "@temporalio/common";
import { formatCredits } from "../../platform/credits.ts";
import { inTransaction, type PoolClient } from "../../platform/postgres.ts";
import { applyAction } from "../changes.ts";
import type { WorkDeps } from "../deps.ts";
import { frameCost } from "../prices/price.ts";
import { priceById } from "../prices/repository.ts";
import { decide } from "../states.ts";
import { lockTask, standingOf, type Standing, type TaskRow } from "../task.ts";
import { regrow } from "./regrow.ts";
import { expectedCost, setHold } from "./settle.ts";

const refuse = (why: string) => ApplicationFailure.nonRetryable(why, "InvalidState");

/** Pauses a task. Throws a failure of type InvalidState that says why not. */
export function pauseTask(deps: WorkDeps, { taskId }: { taskId: string }): Promise<Standing> {
  return inTransaction(deps.pool, async (tx) => {
    const task = await lockTask(tx, taskId);
    if (!task) throw refuse("There is no such task");
    const changed = await applyAction(tx, deps, task, "pause", { code: "asked", message: "paused by its owner" });
    if (!("task" in changed)) throw refuse(changed.outcome.why);
    return standingOf(changed.task);
  });
}

/**
 * Lets a paused task go on, when there is credit for what is rendered but not paid and for one more frame at least; as much as the rest is
 * likely to cost is held if the wallet covers it. Throws a failure of type InvalidState or NotCovered.
 */
export function resumeTask(deps: WorkDeps, { taskId }: { taskId: string }): Promise<Standing> {
  return inTransaction(deps.pool, async (tx) => {
    const task = await lockTask(tx, taskId);
    if (!task) throw refuse("There is no such task");
    const outcome = decide(task.state, "resume");
    if (outcome.kind === "refused") throw refuse(outcome.why);
    const covered = await cover(deps, tx, task);
    const changed = await applyAction(tx, deps, covered, "resume");
    if (!("task" in changed)) throw refuse(changed.outcome.why);
    return standingOf(changed.task);
  });
}

/** Sees to it that the hold covers what comes next. */
async function cover(deps: WorkDeps, tx: PoolClient, task: TaskRow): Promise<TaskRow> {
  const { owed, frames } = await unpaidOf(tx, task);
  const left = BigInt(task.total_frames - task.done_frames - frames);
  const one = expectedCost(task);
  const least = owed + (left > 0n ? one : 0n);
  const held = await deps.ledger.heldWithin(tx, task.hold_id!);
  const wanted = owed + one * left;
  if (held >= wanted) return task;
  let refused = { reason: "insufficient_balance", shortfall: least - held };
  for (const amount of wanted === least ? [least] : [wanted, least]) {
    if (held >= amount) return task;
    const grown = await regrow(deps, tx, task, task.hold_id!, amount);
    if (grown.kind === "held") return setHold(tx, task, grown.holdId);
    refused = grown;
  }
  throw ApplicationFailure.create({
    nonRetryable: true,
    type: "NotCovered",
    message: `The next frame is not covered, which takes ${formatCredits(least)} credits with what is not paid yet`,
    details: [refused.reason, formatCredits(refused.shortfall)],
  });
}

/** What frames cost that are rendered and not paid. */
async function unpaidOf(tx: PoolClient, task: TaskRow): Promise<{ owed: bigint; frames: number }> {
  const { rows } = await tx.query<{ seconds: number }>("SELECT seconds FROM render_frames WHERE task_id = $1 AND status = 'rendered'", [
    task.id,
  ]);
  const rates = await priceById(tx, task.price_id);
  return { owed: rows.reduce((sum, { seconds }) => sum + frameCost(rates, { ...task, seconds }), 0n), frames: rows.length };
}
