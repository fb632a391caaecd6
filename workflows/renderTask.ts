import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  TimeoutFailure,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import { defineSearchAttributeKey } from "@temporalio/common";
import type { NodeActivities, RenderActivities } from "../activities/render.ts";
import { RenderWork, type RenderInput, type RenderView } from "./renderTaskState.ts";
import { ASSEMBLE_VIDEO, CHANGE_TASK, CLOSE_TASK, PREPARE_TASK, RENDER_FRAMES, SETTLE_FRAMES } from "./timeouts.ts";

const { settleFrames } = proxyActivities<RenderActivities>(SETTLE_FRAMES);
const { pauseTask, resumeTask } = proxyActivities<RenderActivities>(CHANGE_TASK);
const { closeTask } = proxyActivities<RenderActivities>(CLOSE_TASK);

/** No new frames begin; those under way are finished and charged. */
export const pause = defineUpdate<RenderView>("pause");
/** Goes on with what is left; refused while the wallet does not cover it. */
export const resume = defineUpdate<RenderView>("resume");
/** Frames under way are given up, finished ones charged, the rest released. */
export const cancel = defineUpdate<RenderView>("cancel");
export const progress = defineQuery<RenderView>("progress");

const taskState = defineSearchAttributeKey("TaskState", "KEYWORD");

/**
 * A render task from its hold to its bill: a node prepares it, frames are rendered in parallel and charged as they are finished, until all
 * are done, one has failed for good, or it is cancelled. What is done and paid is in the database: a run that is lost begins again without
 * rendering or charging anything twice.
 */
export async function renderTask(input: RenderInput): Promise<RenderView> {
  const { taskId, renderQueue: taskQueue, longestWaitMs, memoryMb = 0, turn } = input;
  const nodes = {
    taskQueue,
    ...(longestWaitMs === undefined ? {} : { scheduleToStartTimeout: longestWaitMs }),
    ...(turn ? { priority: turn } : {}),
  };
  const { prepareTask } = proxyActivities<NodeActivities>({ ...PREPARE_TASK, ...nodes });
  const { renderFrames } = proxyActivities<NodeActivities>({ ...RENDER_FRAMES, ...nodes });
  const { assembleVideo } = proxyActivities<NodeActivities>({ ...ASSEMBLE_VIDEO, ...nodes });
  const work = new RenderWork(input);
  const onNodes = new CancellationScope({ cancellable: true });

  function enter(answer: Parameters<RenderWork["enter"]>[0]): void {
    const before = work.state;
    work.enter(answer);
    if (work.state !== before && work.state !== "gone") upsertSearchAttributes([{ key: taskState, value: work.state! }]);
    setCurrentDetails(work.describe());
  }

  const refusing = (action: "pause" | "resume" | "cancel") => ({
    validator() {
      const why = work.refuses(action);
      if (why) throw ApplicationFailure.nonRetryable(why, "InvalidState");
    },
  });
  setHandler(progress, () => work.view());
  setHandler(
    pause,
    async () => {
      enter(await refusal(pauseTask({ taskId })));
      return work.view();
    },
    refusing("pause"),
  );
  setHandler(
    resume,
    async () => {
      enter(await refusal(resumeTask({ taskId })));
      // What was rendered and could not be paid.
      work.toSettle = true;
      return work.view();
    },
    refusing("resume"),
  );
  setHandler(
    cancel,
    async () => {
      work.cancelAsked = true;
      onNodes.cancel();
      await condition(() => work.over);
      if (work.state !== "cancelled") throw ApplicationFailure.nonRetryable(`The task is ${work.state}`, "InvalidState");
      return work.view();
    },
    refusing("cancel"),
  );

  /** Runs work on a node beside everything else; what fails it for good fails the task. */
  function onNode(run: () => Promise<void>): void {
    void onNodes.run(run).catch((error: unknown) => {
      if (!isCancellation(error)) work.failure ??= failureOf(error);
    });
  }

  function prepare(): void {
    work.preparing = true;
    onNode(async () => {
      try {
        enter(await prepareTask({ taskId }));
      } finally {
        work.preparing = false;
      }
    });
  }

  function start(): void {
    const places = work.take();
    onNode(async () => {
      let left = places;
      try {
        const rendered = await renderFrames({ taskId, places, memoryMb });
        left = rendered.left;
        enter(rendered.standing);
      } finally {
        work.rendered(places, left);
        setCurrentDetails(work.describe());
      }
    });
  }

  const next = () => work.step({ handlersFinished: allHandlersFinished(), historyLong: workflowInfo().continueAsNewSuggested });
  for (;;) {
    const step = next();
    if (step === "end") break;
    if (step === "prepare") prepare();
    if (step === "start") start();
    if (step === "scan") work.scan();
    if (step === "settle") {
      work.toSettle = false;
      enter(await settleFrames({ taskId }));
    }
    if (step === "complete") {
      work.toSettle = false;
      enter(await closeTask({ taskId, as: "complete" }));
    }
    if (step === "cancel") enter(await closeTask({ taskId, as: "cancel", reason: { code: "asked", message: "cancelled by its owner" } }));
    if (step === "fail") {
      onNodes.cancel();
      enter(await closeTask({ taskId, as: "fail", reason: work.failure! }));
    }
    if (step === "continue") await continueAsNew<typeof renderTask>(work.nextRun());
    if (step === "wait") await condition(() => next() !== "wait");
  }
  onNodes.cancel();
  if (input.video && work.state === "completed") {
    setCurrentDetails(`${work.describe()} · the film is being made`);
    // The frames are paid and handed out; what became of the film is in the task's log.
    await assembleVideo({ taskId }).catch(() => undefined);
  }
  await condition(allHandlersFinished);
  setCurrentDetails(work.describe());
  return work.view();
}

/** An activity's business refusal as the answer of the update that asked for it. */
async function refusal<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ActivityFailure && error.cause instanceof ApplicationFailure) throw error.cause;
    throw error;
  }
}

function failureOf(error: unknown): { code: string; message: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure && cause.timeoutType === "SCHEDULE_TO_START")
    return { code: "no_node", message: "no render node came in time" };
  return { code: "frame_failed", message: cause instanceof Error ? cause.message : "the work was lost" };
}
