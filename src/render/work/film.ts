import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { ApplicationFailure } from "@temporalio/common";
import { uuidv7 } from "../../platform/ids.ts";
import type { WorkDeps } from "../deps.ts";
import { EngineMissing, type LogLevel } from "../engines/engine.ts";
import { progressMessage } from "../live.ts";
import { NotTaken } from "../process/index.ts";
import { writeLogs } from "../logs.ts";
import { readTask, type TaskRow } from "../task.ts";
import { CODECS, FilmFailed, pictureName, splitSettings } from "../video/index.ts";
import type { FrameWatch } from "./frames.ts";

/** Pictures that are fetched at the same time. */
const LANES = 4;
const TELL_EVERY_MS = 1_000;

/**
 * Makes a film of the frames of a completed task, and keeps it as a file of the task: the same one however often it is made. A film that
 * cannot be made costs nobody anything: the task's log says why. Throws a failure of type FilmFailed, then for good, or EngineMissing.
 */
export async function assembleVideo(deps: WorkDeps, { taskId }: { taskId: string }, watch: FrameWatch): Promise<void> {
  const task = await readTask(deps.pool, taskId);
  const { video } = task?.state === "completed" ? splitSettings(task.settings) : { video: undefined };
  if (!task || !video) return;
  const folder = path.join(deps.folder, "films", `${task.id}-${uuidv7()}`);
  const [frames, to] = [path.join(folder, "frames"), path.join(folder, "film")];
  await mkdir(frames, { recursive: true });
  try {
    if (!deps.video) throw new EngineMissing("this node makes no films");
    await tell(deps, task, "info", "the film is being made");
    const count = await fetchFrames(deps, task, frames, watch);
    const progress = createProgress(deps, task, watch);
    await deps.video.make({ video, format: task.output_format, frames, count, to }, { progress, signal: watch.signal });
    const { contentType, format } = CODECS[video.codec];
    const file = await deps.files.store({
      ownerId: task.user_id,
      kind: "video",
      name: `video.${format}`,
      contentType,
      fromPath: to,
      taskId: task.id,
      key: `render:${task.id}:video`,
    });
    // Its owner may have removed the task meanwhile.
    if (!(await readTask(deps.pool, taskId))) await deps.files.remove(task.user_id, file.id).catch(() => undefined);
    else await tell(deps, task, "info", `the film is ready: file ${file.id}`);
  } catch (error) {
    throw await failure(deps, task, error, watch);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a try ended with, said in the task's log where it is of use to its owner. */
async function failure(deps: WorkDeps, task: TaskRow, error: unknown, { signal }: FrameWatch): Promise<unknown> {
  const known = error instanceof FilmFailed || error instanceof NotTaken || error instanceof EngineMissing;
  if (signal.aborted || !known) return error;
  await tell(deps, task, "warn", `the film could not be made: ${error.message}`);
  return error instanceof EngineMissing
    ? ApplicationFailure.retryable(error.message, "EngineMissing")
    : ApplicationFailure.nonRetryable(error.message, "FilmFailed");
}

/** Brings the pictures of all frames here, in their order. Returns how many there are. */
async function fetchFrames({ pool, files }: WorkDeps, task: TaskRow, folder: string, { signal, beat }: FrameWatch): Promise<number> {
  const { rows } = await pool.query<{ frame: number; file_id: string }>(
    "SELECT frame, file_id FROM render_frames WHERE task_id = $1 AND status = 'completed' AND file_id IS NOT NULL ORDER BY frame",
    [task.id],
  );
  const waiting = rows.entries();
  async function lane(): Promise<void> {
    for (const [place, { frame, file_id: id }] of waiting) {
      const file = await files.read(task.user_id, id);
      if (!file) throw new FilmFailed(`the picture of frame ${frame} is not there any more`);
      await files.fetch(file, path.join(folder, pictureName(place, task.output_format)), signal);
      beat(place / rows.length);
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane));
  return rows.length;
}

function createProgress({ publish }: WorkDeps, task: TaskRow, { beat }: FrameWatch): (fraction: number) => void {
  let toldAt = 0;
  return (fraction) => {
    beat(fraction);
    if (Date.now() - toldAt < TELL_EVERY_MS) return;
    toldAt = Date.now();
    const message = progressMessage(task);
    publish({ ...message, data: { ...message.data, video_progress: fraction } });
  };
}

async function tell({ pool, publish }: WorkDeps, task: TaskRow, level: LogLevel, message: string): Promise<void> {
  await writeLogs(pool, task.id, [{ level, message }]);
  publish({
    userId: task.user_id,
    type: "task.log",
    data: { task_id: task.id, level, message, frame: null, time: new Date().toISOString() },
  });
}
