import { formatCredits } from "../../platform/credits.ts";
import { afterCommit, inTransaction, type PoolClient } from "../../platform/postgres.ts";
import { applyAction } from "../changes.ts";
import { HOLD_TTL_MS, type WorkDeps } from "../deps.ts";
import { noteSpeed } from "../estimate.ts";
import { progressMessage } from "../live.ts";
import { frameCost, type RenderRates } from "../prices/price.ts";
import { priceById } from "../prices/repository.ts";
import { isOver } from "../states.ts";
import { lockTask, standingOf, TASK_COLUMNS, type Standing, type TaskRow } from "../task.ts";
import { regrow } from "./regrow.ts";

/** Frames settled in one transaction, which keeps the wallet locked. */
const BATCH = 20;

interface RenderedFrame {
  frame: number;
  seconds: number;
}

/** What one transaction did. */
interface Batch {
  task: TaskRow;
  /** Frames that are rendered wait behind these. */
  more: boolean;
  /** A frame that hold and wallet do not cover. */
  unpaid?: { reason: string; shortfall: bigint };
}

/**
 * Charges the frames that are rendered and not charged yet, each once, out of the task's hold. When hold and wallet do not cover one, the
 * task is paused and says so; the frame waits, rendered, until there is credit. Safe to repeat at any point.
 */
export async function settleFrames(deps: WorkDeps, { taskId }: { taskId: string }): Promise<Standing> {
  for (;;) {
    const batch = await inTransaction(deps.pool, async (tx) => {
      const task = await lockTask(tx, taskId);
      if (!task) return undefined;
      const settled = await settleBatch(deps, tx, task);
      return settled.unpaid
        ? { ...settled, task: await pauseUnpaid(deps, tx, settled) }
        : { ...settled, task: await keepCovered(deps, tx, settled.task) };
    });
    if (!batch?.more || batch.unpaid) return standingOf(batch?.task);
  }
}

/** Settles the next frames of a task that the transaction has locked. Nothing happens when it is over. */
export async function settleBatch(deps: WorkDeps, tx: PoolClient, locked: TaskRow): Promise<Batch> {
  if (isOver(locked.state)) return { task: locked, more: false };
  const { rows: frames } = await tx.query<RenderedFrame>(
    "SELECT frame, seconds FROM render_frames WHERE task_id = $1 AND status = 'rendered' ORDER BY frame LIMIT $2 FOR UPDATE",
    [locked.id, BATCH],
  );
  if (frames.length === 0) return { task: locked, more: false };
  const rates = await priceById(tx, locked.price_id);
  const paid: (RenderedFrame & { cost: bigint })[] = [];
  let holdId = locked.hold_id!;
  let unpaid: Batch["unpaid"];
  for (const frame of frames) {
    const cost = costOf(rates, locked, frame.seconds);
    const outcome = await charge(deps, tx, locked, holdId, frame.frame, cost);
    if (outcome.kind === "refused") {
      unpaid = outcome;
      break;
    }
    holdId = outcome.holdId;
    paid.push({ ...frame, cost });
  }
  const task = await note(tx, locked, holdId, paid);
  afterCommit(tx, () => {
    if (paid.length === 0) return;
    deps.publish(progressMessage(task));
    const megasamples = (paid.length * (task.width * task.height * task.samples)) / 1e6;
    deps.metrics.charged({ engine: task.engine, frames: paid });
    const seconds = paid.reduce((sum, one) => sum + one.seconds, 0);
    void noteSpeed(deps.pool, task.engine, { frames: paid.length, megasamples, seconds }).catch(() => undefined);
  });
  return { task, more: frames.length === BATCH, ...(unpaid ? { unpaid } : {}) };
}

const costOf = (rates: RenderRates, { width, height, samples, priority }: TaskRow, seconds: number): bigint =>
  frameCost(rates, { width, height, samples, priority, seconds });

/** What a frame is expected to cost from now on: as estimated, or what finished ones did cost when that is more. */
export function expectedCost(task: Pick<TaskRow, "frame_estimate" | "cost" | "done_frames">): bigint {
  if (task.done_frames === 0) return task.frame_estimate;
  const done = BigInt(task.done_frames);
  const average = (task.cost + done - 1n) / done;
  return average > task.frame_estimate ? average : task.frame_estimate;
}

type ChargeOutcome = { kind: "paid"; holdId: string } | { kind: "refused"; reason: string; shortfall: bigint };

async function charge(deps: WorkDeps, tx: PoolClient, task: TaskRow, holdId: string, frame: number, cost: bigint): Promise<ChargeOutcome> {
  const { ledger } = deps;
  const item = {
    id: `render:${task.id}:${frame}`,
    walletId: task.wallet_id,
    cost,
    to: "revenue:render" as const,
    type: "CONSUMPTION" as const,
    description: `Frame ${frame} of the render task ${task.name}`,
    reference: task.id,
    ttlMs: HOLD_TTL_MS,
  };
  const result = await ledger.settlePart(tx, { ...item, holdId });
  if (result.kind === "charged") return { kind: "paid", holdId: result.holdId };
  if (result.kind === "repeated") return { kind: "paid", holdId };
  // The hold lacks something and counts on budgets, or it is gone: what this frame costs is asked for as by a new task.
  const grown = await regrow(deps, tx, task, holdId, cost);
  if (grown.kind === "refused") return grown;
  const second = await ledger.settlePart(tx, { ...item, holdId: grown.holdId });
  if (second.kind !== "charged") throw new Error(`the frame ${item.id} could not be charged: ${second.kind}`);
  return { kind: "paid", holdId: second.holdId };
}

/** Writes what was paid on frames and task. */
async function note(tx: PoolClient, task: TaskRow, holdId: string, paid: readonly { frame: number; cost: bigint }[]): Promise<TaskRow> {
  if (paid.length === 0) return task;
  await tx.query(
    `UPDATE render_frames f SET status = 'completed', cost = q.cost, error = NULL, updated_at = now()
     FROM unnest($2::integer[], $3::bigint[]) AS q (frame, cost) WHERE f.task_id = $1 AND f.frame = q.frame`,
    [task.id, paid.map(({ frame }) => frame), paid.map(({ cost }) => cost)],
  );
  const { rows } = await tx.query<TaskRow>(
    `UPDATE render_tasks SET cost = cost + $2, done_frames = done_frames + $3, hold_id = $4, current_frame = greatest(current_frame, $5), updated_at = now()
     WHERE id = $1 RETURNING ${TASK_COLUMNS}`,
    [task.id, paid.reduce((sum, { cost }) => sum + cost, 0n), paid.length, holdId, Math.max(...paid.map(({ frame }) => frame))],
  );
  return rows[0]!;
}

/** Holds more when the hold does not cover another frame; when the wallet has no more either, the task is paused. */
async function keepCovered(deps: WorkDeps, tx: PoolClient, task: TaskRow): Promise<TaskRow> {
  const frames = BigInt(task.total_frames - task.done_frames);
  if (frames === 0n || task.state === "paused" || isOver(task.state)) return task;
  const one = expectedCost(task);
  const held = await deps.ledger.heldWithin(tx, task.hold_id!);
  if (held >= one) return task;
  let unpaid = { reason: "insufficient_balance", shortfall: one - held };
  for (const amount of [one * frames, one]) {
    const grown = await regrow(deps, tx, task, task.hold_id!, amount);
    if (grown.kind === "held") return setHold(tx, task, grown.holdId);
    unpaid = grown;
  }
  return pauseUnpaid(deps, tx, { task, unpaid });
}

/** Notes which hold is the task's from now on. */
export async function setHold(tx: PoolClient, task: TaskRow, holdId: string): Promise<TaskRow> {
  await tx.query("UPDATE render_tasks SET hold_id = $2, renewed_at = now() WHERE id = $1", [task.id, holdId]);
  return { ...task, hold_id: holdId };
}

/** Pauses a task that cannot be paid on, and says so; one that is paused already now says this. */
export async function pauseUnpaid(deps: WorkDeps, tx: PoolClient, { task, unpaid }: Pick<Batch, "task" | "unpaid">): Promise<TaskRow> {
  const { reason: code, shortfall } = unpaid!;
  const lacking = `${formatCredits(shortfall)} credits for the next frame`;
  const reason = {
    code,
    message: code.startsWith("spend_limit")
      ? `a spend limit lacks ${lacking}: resume the task when it leaves as much`
      : `the wallet lacks ${lacking}: top up, then resume the task`,
  };
  const changed = await applyAction(tx, deps, task, "pause", reason);
  if ("task" in changed) return changed.task;
  const { rows } = await tx.query<TaskRow>(
    `UPDATE render_tasks SET reason = $2, reason_message = $3 WHERE id = $1 RETURNING ${TASK_COLUMNS}`,
    [task.id, reason.code, reason.message],
  );
  return rows[0]!;
}
