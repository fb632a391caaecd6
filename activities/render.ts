import { ApplicationFailure, Context } from "@temporalio/activity";
import type { Capacity, RenderSteps } from "../src/render/index.ts";
import { beating } from "./beating.ts";

/** What the activities of render tasks need. */
export interface RenderServices {
  steps: RenderSteps;
}

/** Frames that a node gives back are there for others after this. */
const GIVEN_BACK = "200ms";

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

/** What render nodes do. Frames wait until the node has room for them, and go back to others when it has none. */
export function createNodeActivities({ steps, capacity }: RenderServices & { capacity: Capacity }) {
  return {
    /** Looks at a scene before a task is made. */
    checkScene: (question: Parameters<RenderSteps["checkScene"]>[0]) =>
      beating(() => steps.checkScene(question, Context.current().cancellationSignal)),
    /** Brings a task's scene to this node and lets rendering begin. */
    prepareTask: (task: { taskId: string }) => beating(() => steps.prepareTask(task, Context.current().cancellationSignal)),
    /** Renders frames; those that were rendered before are not rendered again. */
    renderFrames: (chunk: Parameters<RenderSteps["renderFrames"]>[0]) =>
      beating(async (beat) => {
        const signal = Context.current().cancellationSignal;
        const leave = await capacity.enter(chunk.memoryMb ?? 0, signal);
        if (!leave) {
          signal.throwIfAborted();
          throw ApplicationFailure.create({ type: "NodeBusy", message: "this node has no room now", nextRetryDelay: GIVEN_BACK });
        }
        try {
          return await steps.renderFrames(chunk, { beat, signal });
        } finally {
          leave();
        }
      }),
    /** Makes a film of a completed task's frames. */
    assembleVideo: (task: { taskId: string }) =>
      beating((beat) => steps.assembleVideo(task, { beat, signal: Context.current().cancellationSignal })),
  };
}

export type RenderActivities = ReturnType<typeof createRenderActivities>;
export type NodeActivities = ReturnType<typeof createNodeActivities>;
