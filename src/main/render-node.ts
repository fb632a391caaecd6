import os from "node:os";
import type { ActivitySlotInfo, CustomSlotSupplier } from "@temporalio/worker";
import { createNodeActivities } from "../../activities/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import { createCapacity, queuesOf, startAnnouncing, type Capacity, type Needs, type Permit, type RenderSteps } from "../render/index.ts";
import { startWorker, type RunningWorker, type WorkerOptions } from "./worker-runtime.ts";

export interface RenderNodeOptions {
  pool: Pool;
  log: Logger;
  steps: RenderSteps;
  engines: Iterable<Needs>;
  /** What the names of its task queues begin with. */
  queuePrefix: string;
  name?: string | undefined;
  release?: string | undefined;
  /** Frames at the same time. */
  slots: number;
  /** MiB for frames; what the machine has unless told. */
  memoryMb?: number | undefined;
  /** What all of its workers have in common. */
  worker: Omit<WorkerOptions, "taskQueue" | "activities" | "workflows" | "activitySlots">;
}

export interface RenderNode extends RunningWorker {
  readonly capacity: Capacity;
}

const MIB = 1_048_576;

/** Memory of the machine, or of the container where that is less. */
const memoryHere = (): number => Math.floor(Math.min(os.totalmem(), process.constrainedMemory() || Infinity) / MIB);

/**
 * A render node: one worker for each task queue whose frames fit here, all of which share its slots and memory. It takes work from when
 * operators can see it.
 */
export function startRenderNode(options: RenderNodeOptions): RenderNode {
  const { pool, log, steps, slots, engines: known, memoryMb = memoryHere() } = options;
  const engines = [...known];
  const capacity = createCapacity({ slots, memoryMb });
  const queues = queuesOf(options.queuePrefix, engines, memoryMb);
  if (queues.length === 0) log.warn({ memory_mb: memoryMb }, "this render node has no engine, or too little memory for any");
  const announcing = startAnnouncing({
    pool,
    log,
    capacity,
    node: {
      name:
        options.name ??
        `${os
          .hostname()
          .replaceAll(/[^A-Za-z0-9._-]/g, "-")
          .slice(0, 80)}-${process.pid}`,
      release: options.release ?? null,
      engines: engines.map(({ name }) => name),
      cores: os.availableParallelism(),
      memoryMb,
      slots,
      queues,
    },
  });
  const activities = createNodeActivities({ steps, capacity });
  const activitySlots = slotsOf(capacity);
  let workers: RunningWorker[] = [];
  let stopping = false;
  void announcing.known.then(() => {
    if (!stopping)
      workers = queues.map((taskQueue) => startWorker({ ...options.worker, taskQueue, activities, workflows: false, activitySlots }));
  });
  return {
    capacity,
    get running() {
      return workers.length > 0 && workers.every(({ running }) => running);
    },
    async stop() {
      stopping = true;
      await Promise.all(workers.map((worker) => worker.stop()));
      await announcing.stop();
    },
  };
}

/** The node's slots as the SDK asks for them. */
const slotsOf = (capacity: Capacity): CustomSlotSupplier<ActivitySlotInfo> => ({
  type: "custom",
  reserveSlot: ({ taskQueue }, signal) => capacity.reserve(taskQueue, signal),
  tryReserveSlot: ({ taskQueue }) => capacity.tryReserve(taskQueue) ?? null,
  markSlotUsed: ({ permit }) => capacity.use(permit as Permit),
  releaseSlot: ({ permit }) => capacity.release(permit as Permit),
});
