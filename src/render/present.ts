import { formatCredits } from "../platform/credits.ts";
import type { SecretBox } from "../platform/secrets.ts";
import type { TemporalLink } from "../platform/temporal.ts";
import type { CallbackRow } from "./callbacks.ts";
import { progressOf } from "./live.ts";
import type { LogRow } from "./logs.ts";
import { frameParts, type FrameWork, type RenderRates } from "./prices/price.ts";
import { numberOf } from "./states.ts";
import type { FrameRow, TaskRow } from "./task.ts";
import { renderWorkflowId } from "./workflowLink.ts";

/** Tasks, frames and log lines as their owner sees them. */

export function presentTask(
  task: TaskRow,
  held: bigint,
  { secretBox, temporal }: { secretBox: SecretBox; temporal: Pick<TemporalLink, "workflowUrl"> },
) {
  const workflowId = renderWorkflowId(task.id);
  return {
    id: task.id,
    name: task.name,
    engine: task.engine,
    scene_file_id: task.scene_file_id,
    settings: task.settings,
    frame_start: task.frame_start,
    frame_end: task.frame_end,
    frame_step: task.frame_step,
    width: task.width,
    height: task.height,
    samples: task.samples,
    output_format: task.output_format,
    memory_mb: task.memory_mb,
    priority: task.priority,
    callback_url: task.callback_url,
    callback_secret: task.callback_secret && secretBox.open(task.callback_secret),
    status: task.state,
    status_number: numberOf(task.state),
    reason: task.reason,
    message: task.reason_message,
    progress: progressOf(task),
    current_frame: task.current_frame,
    total_frames: task.total_frames,
    done_frames: task.done_frames,
    parallel: task.parallel,
    estimated_cost: formatCredits(task.estimated_cost),
    cost: formatCredits(task.cost),
    held: formatCredits(held),
    workflow_id: workflowId,
    workflow_url: temporal.workflowUrl(workflowId),
    created_at: task.created_at.toISOString(),
    updated_at: task.updated_at.toISOString(),
    started_at: task.started_at?.toISOString() ?? null,
    ended_at: task.ended_at?.toISOString() ?? null,
  };
}

/** What a frame's cost is made of, before the factor of its priority. */
export function presentParts(rates: RenderRates, work: FrameWork) {
  const { frame, samples, time } = frameParts(rates, work);
  return {
    frame: formatCredits(frame),
    samples: formatCredits(samples),
    time: formatCredits(time),
    percent: rates.percent[work.priority],
  };
}

/** A picture is handed out once it is paid; what was charged comes with what it is made of. */
export const presentFrame = (row: FrameRow, task: TaskRow, rates: RenderRates) => ({
  frame: row.frame,
  status: row.status,
  cost: row.cost === null ? null : formatCredits(row.cost),
  parts: row.cost === null ? null : presentParts(rates, { ...task, seconds: row.seconds ?? 0 }),
  file_id: row.status === "completed" ? row.file_id : null,
  attempts: row.attempts,
  failures: row.failures,
  seconds: row.seconds,
  error: row.error,
  updated_at: row.updated_at.toISOString(),
});

export const presentCallback = ({ state, ...row }: CallbackRow) => ({ status: state, ...row });

export const presentLog = (row: LogRow) => ({
  id: row.id.toString(),
  level: row.level,
  message: row.message,
  frame: row.frame,
  time: row.created_at.toISOString(),
});
