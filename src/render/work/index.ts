import path from "node:path";
import type { WorkDeps } from "../deps.ts";
import type { Standing } from "../task.ts";
import type { SceneAnswer, SceneQuestion } from "../sceneChecks.ts";
import { pauseTask, resumeTask } from "./change.ts";
import { checkScene } from "./check.ts";
import { closeTask, type Closing } from "./close.ts";
import { assembleVideo } from "./film.ts";
import { renderFrames, type FrameChunk, type FrameWatch, type Rendered } from "./frames.ts";
import { prepareTask } from "./prepare.ts";
import { createScenes } from "./scenes.ts";
import { settleFrames } from "./settle.ts";

/** What the workflow of a task does, step by step; every step may be repeated. */
export interface RenderSteps {
  checkScene(question: SceneQuestion, signal: AbortSignal): Promise<SceneAnswer>;
  prepareTask(task: { taskId: string }, signal: AbortSignal): Promise<Standing>;
  renderFrames(chunk: FrameChunk, watch: FrameWatch): Promise<Rendered>;
  assembleVideo(task: { taskId: string }, watch: FrameWatch): Promise<void>;
  settleFrames(task: { taskId: string }): Promise<Standing>;
  pauseTask(task: { taskId: string }): Promise<Standing>;
  resumeTask(task: { taskId: string }): Promise<Standing>;
  closeTask(closing: Closing): Promise<Standing>;
}

export function createRenderSteps(deps: WorkDeps): RenderSteps {
  const here = { ...deps, scenes: createScenes({ files: deps.files, folder: path.join(deps.folder, "scenes") }) };
  return {
    checkScene: (question, signal) => checkScene(here, question, signal),
    prepareTask: (task, signal) => prepareTask(here, task, signal),
    renderFrames: (chunk, watch) => renderFrames(here, chunk, watch),
    assembleVideo: (task, watch) => assembleVideo(deps, task, watch),
    settleFrames: (task) => settleFrames(deps, task),
    pauseTask: (task) => pauseTask(deps, task),
    resumeTask: (task) => resumeTask(deps, task),
    closeTask: (closing) => closeTask(deps, closing),
  };
}
