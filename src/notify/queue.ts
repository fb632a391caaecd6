import { Queue } from "bullmq";
import type { Logger } from "../platform/logger.ts";
import type { Redis } from "../platform/redis.ts";
import { sha256 } from "../platform/secrets.ts";
import { within } from "../platform/within.ts";
import type { MailLocale, TemplateData, TemplateName } from "./templates.ts";

/** A mail to be sent, as it lies in the queue. */
export interface MailJob {
  to: string;
  locale: MailLocale;
  template: TemplateName;
  /** Emptied once the mail is sent: codes and links do not outlive their use. */
  data: TemplateData;
}

export type MailQueue = Queue<MailJob, void, TemplateName>;

export const MAIL_QUEUE = "mail";
/** Bullmq's keys of this product. */
export const QUEUE_PREFIX = "tollkeeper";

const DAY_S = 86_400;
/** Sent mails are remembered this long, so that the same id is not sent again. */
const REMEMBER_S = 30 * DAY_S;
const ATTEMPTS = 12;
const FIRST_PAUSE_MS = 1_000;
const ENQUEUE_TIMEOUT_MS = 2_000;

/** The mail queue, on a connection that stays the caller's. */
export function createMailQueue(connection: Redis, log: Logger): MailQueue {
  const queue: MailQueue = new Queue(MAIL_QUEUE, {
    connection,
    prefix: QUEUE_PREFIX,
    skipWaitingForReady: true,
    defaultJobOptions: {
      attempts: ATTEMPTS,
      backoff: { type: "exponential", delay: FIRST_PAUSE_MS, jitter: 0.3 },
      removeOnComplete: { age: REMEMBER_S, count: 100_000 },
      removeOnFail: { age: REMEMBER_S },
    },
  });
  queue.on("error", (error) => log.debug({ err: error }, "the mail queue"));
  return queue;
}

/** Puts a mail into the queue once per `id`. Rejects while Redis is away. */
export function enqueueMail(queue: MailQueue, connection: Pick<Redis, "status">, id: string, mail: MailJob): Promise<void> {
  // A job id may not hold a colon and may not be a number.
  return withinQueue(connection, () => queue.add(mail.template, mail, { jobId: `m${sha256(id)}` }));
}

/** Adds a job, or rejects at once or within a moment while Redis is away, where bullmq would wait. */
export async function withinQueue(connection: Pick<Redis, "status">, add: () => Promise<unknown>): Promise<void> {
  if (["reconnecting", "close", "end"].includes(connection.status)) throw new Error("the queue is not reachable");
  await within(ENQUEUE_TIMEOUT_MS, add(), () => new Error("the queue does not answer"));
}
