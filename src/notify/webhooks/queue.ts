import { Queue, Worker } from "bullmq";
import type { Logger } from "../../platform/logger.ts";
import type { Redis } from "../../platform/redis.ts";
import { within } from "../../platform/within.ts";
import { withinQueue, QUEUE_PREFIX } from "../queue.ts";

/** One try of one delivery. What is sent lies in Postgres: the queue only carries when. */
export interface WebhookJob {
  deliveryId: string;
  /** Counts from 0; a job of a try that has been made does nothing. */
  attempt: number;
}

export type WebhookQueue = Queue<WebhookJob, void, string>;

export const WEBHOOK_QUEUE = "webhooks";
const CONCURRENCY = 10;
const CLOSE_TIMEOUT_MS = 12_000;

/** The queue of outbound webhooks, on a connection that stays the caller's. */
export function createWebhookQueue(connection: Redis, log: Logger): WebhookQueue {
  const queue: WebhookQueue = new Queue(WEBHOOK_QUEUE, {
    connection,
    prefix: QUEUE_PREFIX,
    skipWaitingForReady: true,
    // Tries and their log are kept in Postgres, which takes up again what failed here.
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  queue.on("error", (error) => log.debug({ err: error }, "the webhook queue"));
  return queue;
}

/** Asks for a try after `delayMs`; the same try is queued once. Rejects while Redis is away. */
export function enqueueWebhook(queue: WebhookQueue, connection: Pick<Redis, "status">, job: WebhookJob, delayMs: number): Promise<void> {
  return withinQueue(connection, () =>
    queue.add("deliver", job, { jobId: `w${job.deliveryId}-${job.attempt}`, ...(delayMs > 0 ? { delay: delayMs } : {}) }),
  );
}

/** Makes the tries that are due, for as long as the process lives. `redis` waits for Redis and stays the caller's. */
export function startWebhookWorker(deps: { redis: Redis; attempt: (job: WebhookJob) => Promise<void>; log: Logger }): {
  /** Finishes the tries under way and stops. */
  close(): Promise<void>;
} {
  const { redis: connection, attempt, log } = deps;
  const worker = new Worker<WebhookJob, void>(WEBHOOK_QUEUE, (job) => attempt(job.data), {
    connection,
    prefix: QUEUE_PREFIX,
    concurrency: CONCURRENCY,
  });
  worker.on("error", () => undefined);
  worker.on("failed", (job, error) =>
    log.warn({ delivery: job?.data.deliveryId, err: error }, "a webhook could not be handled; it is taken up again"),
  );
  return {
    async close() {
      await within(CLOSE_TIMEOUT_MS, worker.close()).catch(() => undefined);
    },
  };
}
