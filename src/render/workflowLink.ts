import {
  isGrpcServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
} from "@temporalio/client";
import { ActivityFailure, ApplicationFailure, defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import type { RenderInput } from "../../workflows/renderTaskState.ts";
import type { sceneCheck } from "../../workflows/sceneCheck.ts";
import type { renderTask } from "../../workflows/renderTask.ts";
import { appError, fieldError, type ErrorCode } from "../platform/errors.ts";
import { queueFor } from "./nodes/queues.ts";
import { keyOf, type SceneAnswer, type SceneQuestion } from "./sceneChecks.ts";
import type { TaskRow } from "./task.ts";

/** How tasks reach their workflows. Every method rejects while Temporal is away. */
export interface RenderWorkflows {
  /** Starts the task's workflow unless it runs or has ended. */
  start(task: TaskRow): Promise<void>;
  /**
   * Lets a render node look at a scene and waits for the answer; the same question joins the look that is under way. Throws `unavailable`
   * when it takes longer than a request may.
   */
  checkScene(question: SceneQuestion, queue: string): Promise<SceneAnswer>;
  /** Asks the workflow; throws `invalid_state` or `insufficient_balance` when it refuses. False when there is none. */
  ask(taskId: string, action: "pause" | "resume" | "cancel"): Promise<boolean>;
}

export const renderWorkflowId = (taskId: string): string => `render-${taskId}`;

/** How many frames one run of the workflow has at most, after which its history begins anew. */
const FRAMES_PER_RUN = 200;
/** A task for which no node comes fails after this, and what is held for it is free again. */
const LONGEST_WAIT_MS = 7 * 86_400_000;
const START_DEADLINE_MS = 3_000;
/** A change waits for a worker and for Postgres. */
const ASK_DEADLINE_MS = 10_000;
/** A look at a scene fetches it first. */
const CHECK_DEADLINE_MS = 25_000;
const PRESENT_MS = 1_500;

/** gRPC's status. */
const DEADLINE_EXCEEDED = 4;

/**
 * Shares of the nodes' time that somebody's frames get while others wait as well; nobody gets none. Temporal's own priorities would let
 * low ones wait for ever.
 */
const WEIGHTS = { high: 4, normal: 2, low: 1 } as const;
/** Somebody waits for an answer: before all frames. */
const CHECK_PRIORITY = 1;

const userIdKey = defineSearchAttributeKey("UserId", "KEYWORD");
const taskStateKey = defineSearchAttributeKey("TaskState", "KEYWORD");

export function createRenderWorkflows(deps: {
  client: Client;
  taskQueue: string;
  renderQueue: string;
  framesPerRun?: number;
  longestWaitMs?: number;
}): RenderWorkflows {
  const { client, taskQueue, renderQueue, framesPerRun = FRAMES_PER_RUN, longestWaitMs = LONGEST_WAIT_MS } = deps;

  const within = <T>(ms: number, work: () => Promise<T>): Promise<T> => client.withDeadline(Date.now() + ms, work).catch(rethrow);

  return {
    async start(task) {
      const input: RenderInput = {
        taskId: task.id,
        userId: task.user_id,
        renderQueue: task.queue ?? queueFor(renderQueue, task.engine, task.memory_mb),
        longestWaitMs,
        memoryMb: task.memory_mb,
        // A key keeps its weight, so it names both.
        turn: { fairnessKey: `${task.priority}:${task.user_id}`, fairnessWeight: WEIGHTS[task.priority] },
        totalFrames: task.total_frames,
        parallel: task.parallel,
        chunk: chunkOf(task),
        ...(task.settings["video"] === undefined ? {} : { video: true }),
        framesPerRun,
      };
      try {
        await within(START_DEADLINE_MS, () =>
          client.workflow.start<typeof renderTask>("renderTask", {
            workflowId: renderWorkflowId(task.id),
            taskQueue,
            args: [input],
            typedSearchAttributes: new TypedSearchAttributes([
              { key: userIdKey, value: task.user_id },
              { key: taskStateKey, value: "queued" },
            ]),
            staticSummary: `${task.total_frames} frames of ${task.width} × ${task.height} by ${task.engine}`,
            staticDetails: "Updates: pause, resume, cancel. Query: progress.",
            workflowIdConflictPolicy: "USE_EXISTING",
            workflowIdReusePolicy: "ALLOW_DUPLICATE",
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },

    async checkScene(question, queue) {
      const { fileId, engine, ownerId } = question;
      try {
        return await client.withDeadline(Date.now() + CHECK_DEADLINE_MS, () =>
          client.workflow.execute<typeof sceneCheck>("sceneCheck", {
            workflowId: `scene-${fileId}-${engine}-${keyOf(question).slice(0, 16)}`,
            taskQueue,
            args: [{ renderQueue: queue, turn: { priorityKey: CHECK_PRIORITY, fairnessKey: ownerId }, question }],
            typedSearchAttributes: new TypedSearchAttributes([{ key: userIdKey, value: ownerId }]),
            staticSummary: `A look at a scene by ${engine}`,
            workflowIdConflictPolicy: "USE_EXISTING",
            workflowIdReusePolicy: "ALLOW_DUPLICATE",
          }),
        );
      } catch (error) {
        throw checkFailure(error);
      }
    },

    async ask(taskId, action) {
      await client.withDeadline(Date.now() + PRESENT_MS, () => client.workflowService.getSystemInfo({}));
      try {
        await within(ASK_DEADLINE_MS, () => client.workflow.getHandle(renderWorkflowId(taskId)).executeUpdate(action, { args: [] }));
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        if (error instanceof WorkflowUpdateFailedError) throw refusal(error);
        throw error;
      }
    },
  };
}

/** Work of one activity, where frames are quicker. */
const QUICK_S = 1;
const MOST_IN_CHUNK = 20;

/** Frames of one activity: quick ones together, so that a short task is little work for Temporal; slow ones one by one. */
export function chunkOf(task: Pick<TaskRow, "frame_seconds">): number {
  const quick = Math.floor(QUICK_S / Math.max(task.frame_seconds, 0.05));
  return Math.max(1, Math.min(quick, MOST_IN_CHUNK));
}

/** A look that did not come to an end in time, or for which there is no node, as the caller is to see it. */
function checkFailure(error: unknown): unknown {
  const cause = error instanceof WorkflowFailedError && error.cause instanceof ActivityFailure ? error.cause.cause : undefined;
  if (cause instanceof ApplicationFailure && cause.type === "SceneMissing") return fieldError("scene_file_id", "there is no such file");
  if (cause instanceof ApplicationFailure && cause.type === "EngineMissing")
    return appError("unavailable", { message: `No render node has this engine now: ${cause.message}`, retryAfter: 60, cause: error });
  if (error instanceof WorkflowFailedError) return appError("unavailable", { message: "The scene could not be looked at", cause: error });
  const late = isGrpcServiceError(error) && Number(error.code) === DEADLINE_EXCEEDED;
  return late
    ? appError("unavailable", { message: "The scene is still being looked at: ask again in a moment", retryAfter: 10, cause: error })
    : error;
}

/** What a workflow refused, as the caller is to see it. */
function refusal(error: WorkflowUpdateFailedError): unknown {
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure)) return error;
  if (cause.type === "NotCovered") {
    const [reason, shortfall] = (cause.details ?? []) as [ErrorCode?, string?];
    return appError(reason ?? "insufficient_balance", { message: cause.message, details: { shortfall }, cause: error });
  }
  if (cause.type === "InvalidState") return appError("invalid_state", { message: cause.message, cause: error });
  return error;
}

/** An update that no worker took in time is an absence like that of the server. */
function rethrow(error: unknown): never {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
    throw appError("unavailable", { message: "The workflow engine is not reachable right now", retryAfter: 5, cause: error });
  }
  throw error;
}
