import type { TaskRow } from "./task.ts";

/** A message for whoever watches; see docs/render.md. */
export interface LiveMessage {
  userId: string;
  type: "task.progress" | "task.status" | "task.log";
  data: Record<string, unknown>;
}

/** Tells whoever watches. Never throws and is never waited for. */
export type Publish = (message: LiveMessage) => void;

/** Percent of the frames that are finished, with two decimals. */
export const progressOf = ({ done_frames, total_frames }: Pick<TaskRow, "done_frames" | "total_frames">): number =>
  Math.floor((done_frames / total_frames) * 10_000) / 100;

/** How far a task is and, while a frame is drawn, how far that is. Frames under way count for nothing yet: several are, and none may come to anything. */
export function progressMessage(task: TaskRow, frame?: { frame: number; fraction: number }): LiveMessage {
  return {
    userId: task.user_id,
    type: "task.progress",
    data: {
      task_id: task.id,
      user_id: task.user_id,
      progress: progressOf(task),
      current_frame: frame?.frame ?? task.current_frame,
      total_frames: task.total_frames,
      done_frames: task.done_frames,
      ...(frame ? { frame_progress: frame.fraction } : {}),
    },
  };
}
