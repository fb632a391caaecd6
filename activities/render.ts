import { Context } from "@temporalio/activity";
import type { RenderSteps } from "../src/render/index.ts";
import { beating } from "./beating.ts";

/** What the activities of render tasks need. */
export interface RenderServices {
  steps: RenderSteps;
}

/** Money and states of render tasks; each is idempotent by the task or its frames. */
export function createRenderActivities({ steps }: RenderServices) {
  return {
    /** Charges the frames that are rendered and not charged yet. */
    settleFrames: steps.settleFrames,
    pauseTask: steps.pauseTask,
    resumeTask: steps.resumeTask,
    /** Ends a task: settles, releases, queues the callback. */
    closeTask: steps.closeTask,
  };
}

/** What render nodes do. */
export function createNodeActivities({ steps }: RenderServices) {
  return {
    /** Looks at a scene before a task is made. */
    checkScene: (question: Parameters<RenderSteps["checkScene"]>[0]) =>
      beating(() => steps.checkScene(question, Context.current().cancellationSignal)),
    /** Brings a task's scene to this node and lets rendering begin. */
    prepareTask: (task: { taskId: string }) => beating(() => steps.prepareTask(task, Context.current().cancellationSignal)),
    /** Renders frames; those that were rendered before are not rendered again. */
    renderFrames: (chunk: Parameters<RenderSteps["renderFrames"]>[0]) =>
      beating((beat) => steps.renderFrames(chunk, { beat, signal: Context.current().cancellationSignal })),
    /** Makes a film of a completed task's frames. */
    assembleVideo: (task: { taskId: string }) =>
      beating((beat) => steps.assembleVideo(task, { beat, signal: Context.current().cancellationSignal })),
  };
}

export type RenderActivities = ReturnType<typeof createRenderActivities>;
export type NodeActivities = ReturnType<typeof createNodeActivities>;
