import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { ApplicationFailure } from "@temporalio/common";
import { uuidv7 } from "../../platform/ids.ts";
import type { WorkDeps } from "../deps.ts";
import { FrameFailed, type FrameResult, type RenderEngine } from "../engines/engine.ts";
import { progressMessage } from "../live.ts";
import { readTask, standingOf, type Standing, type TaskRow } from "../task.ts";
import { splitSettings } from "../video/index.ts";
import { beginFrame, failFrame, noteRendered } from "./frameRows.ts";
import { createFrameLog } from "./frameLog.ts";
import { patiently } from "./patiently.ts";
import type { Scenes } from "./scenes.ts";

/** Frames of a task by their place in it: 0 is the first. */
export interface FrameChunk {
  taskId: string;
  places: readonly number[];
  /** What a frame may use, in MiB: the node makes room for it. */
  memoryMb?: number;
}

export interface Rendered {
  /** Places that were not begun, because the task was paused or is over. */
  left: number[];
  /** How the task stood then. */
  standing: Standing;
}

export interface FrameWatch {
  signal: AbortSignal;
  /** Called as work goes on. */
  beat(progress: number): void;
}

/** A try of a frame, counted from 1. */
interface Try {
  frame: number;
  attempt: number;
}

/** Tries of a frame that fail for a reason of the engine's, the last one included. */
const MOST_FAILURES = 3;
/** Tries that began: more, because a node that dies is not the frame's fault, unless it always is. */
const MOST_ATTEMPTS = 12;
const TELL_EVERY_MS = 500;

/**
 * Renders frames one after the other and keeps their pictures. A frame that was rendered before, here or on a node that died since, is not
 * rendered again. Throws a failure of type FrameFailed when one cannot be rendered, or an error that is worth another try.
 */
export async function renderFrames(
  deps: WorkDeps & { scenes: Scenes },
  { taskId, places }: FrameChunk,
  watch: FrameWatch,
): Promise<Rendered> {
  for (const [index, place] of places.entries()) {
    watch.signal.throwIfAborted();
    const task = await readTask(deps.pool, taskId);
    if (task?.state !== "rendering") return { left: task?.ended_at === null ? places.slice(index) : [], standing: standingOf(task) };
    const frame = task.frame_start + place * task.frame_step;
    const begun = await beginFrame(deps.pool, taskId, frame);
    if (begun.kind === "done") continue;
    if (begun.attempts > MOST_ATTEMPTS) throw await giveUp(deps, task, frame, `no node has lived through it in ${MOST_ATTEMPTS} tries`);
    await renderOne(deps, task, { frame, attempt: begun.attempts }, watch);
  }
  return { left: [], standing: standingOf(await readTask(deps.pool, taskId)) };
}

async function renderOne(deps: WorkDeps & { scenes: Scenes }, task: TaskRow, { frame, attempt }: Try, watch: FrameWatch): Promise<void> {
  const engine = deps.engines.get(task.engine);
  if (!engine) throw new Error(`the engine ${task.engine} is not here`);
  const folder = path.join(deps.folder, "frames", `${task.id}-${frame}-${uuidv7()}`);
  await mkdir(folder, { recursive: true });
  try {
    const result = await draw(deps, engine, task, { frame, attempt }, folder, watch);
    const again = (error: unknown) => deps.log.warn({ task: task.id, frame, err: error }, "a rendered frame could not be kept yet");
    const store = () =>
      deps.files.store({
        ownerId: task.user_id,
        kind: "frame",
        name: `${String(frame).padStart(5, "0")}.${task.output_format}`,
        contentType: result.contentType,
        fromPath: result.path,
        taskId: task.id,
        key: `render:${task.id}:${frame}`,
      });
    const file = await patiently(store, watch.signal, again);
    const wanted = await patiently(
      () => noteRendered(deps.pool, task.id, frame, { fileId: file.id, seconds: result.seconds }),
      watch.signal,
      again,
    );
    if (!wanted) await deps.files.remove(task.user_id, file.id).catch(() => undefined);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function draw(
  deps: WorkDeps & { scenes: Scenes },
  engine: RenderEngine,
  task: TaskRow,
  { frame, attempt }: Try,
  folder: string,
  watch: FrameWatch,
): Promise<FrameResult> {
  const lines = createFrameLog(deps, task, frame);
  const scene = task.scene_file_id ? await deps.scenes.local(task.user_id, task.scene_file_id, watch.signal) : undefined;
  let toldAt = 0;
  const progress = (fraction: number) => {
    watch.beat(fraction);
    // That a frame has begun is no news, and must not keep the first part of it from being told.
    if (fraction === 0 || Date.now() - toldAt < TELL_EVERY_MS) return;
    toldAt = Date.now();
    void tellProgress(deps, task.id, { frame, fraction }).catch(() => undefined);
  };
  try {
    return await engine.render(
      {
        ...(scene ? { scenePath: scene.path } : {}),
        frame,
        attempt,
        width: task.width,
        height: task.height,
        samples: task.samples,
        format: task.output_format,
        outputPath: path.join(folder, `frame.${task.output_format}`),
        memoryMb: task.memory_mb,
        settings: splitSettings(task.settings).own,
      },
      { progress, log: lines.add, signal: watch.signal },
    );
  } catch (error) {
    if (watch.signal.aborted) throw watch.signal.reason ?? error;
    if (!(error instanceof FrameFailed)) throw error;
    lines.add(error.retry ? "warn" : "error", error.reason);
    const failures = await failFrame(deps.pool, task.id, frame, error.reason);
    if (error.retry && failures < MOST_FAILURES) throw error;
    throw await giveUp(deps, task, frame, error.reason);
  } finally {
    await lines.flush();
  }
}

/** Other frames are finished meanwhile: the task is read anew, so that what is told never goes back. */
async function tellProgress({ pool, publish }: WorkDeps, taskId: string, inside: { frame: number; fraction: number }): Promise<void> {
  const task = await readTask(pool, taskId);
  if (task) publish(progressMessage(task, inside));
}

async function giveUp({ pool }: WorkDeps, task: TaskRow, frame: number, reason: string): Promise<ApplicationFailure> {
  await pool.query(
    `UPDATE render_frames SET status = 'failed', error = $3, updated_at = now() WHERE task_id = $1 AND frame = $2 AND status = 'rendering'`,
    [task.id, frame, reason],
  );
  return ApplicationFailure.nonRetryable(`Frame ${frame}: ${reason}`, "FrameFailed");
}
