import type { TaskRow } from "./task.ts";

/** A message for whoever watches; see docs/render.md. */
export interface LiveMessage {
  userId: string;
  type: "task.progress" | "task.status" | "task.log";
  data: Record<string, unknown>;
}

/** Tells whoever watches. Never throws and is never waited for. */
export type Publish = (message: LiveMessage) => void;

/** Percent of the frames that are finished, with two decimals; `more` is the part of a frame that is done beyond them. */
export const progressOf = ({ done_frames, total_frames }: Pick<TaskRow, "done_frames" | "total_frames">, more = 0): number =>
  Math.floor(Math.min(1, (done_frames + more) / total_frames) * 10_000) / 100;

export function progressMessage(task: TaskRow, frame?: { frame: number; fraction: number }): LiveMessage {
  return {
    userId: task.user_id,
    type: "task.progress",
    data: {
      task_id: task.id,
      user_id: task.user_id,
      progress: progressOf(task, frame?.fraction ?? 0),
      current_frame: frame?.frame ?? task.current_frame,
      total_frames: task.total_frames,
      done_frames: task.done_frames,
      ...(frame ? { frame_progress: frame.fraction } : {}),
    },
  };
}
