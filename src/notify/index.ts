import type { Logger } from "../platform/logger.ts";
import type { Redis } from "../platform/redis.ts";
import { createMailQueue, enqueueMail, type MailQueue } from "./queue.ts";
import type { MailLocale, TemplateData, TemplateName } from "./templates.ts";

export { watchQueue } from "./metrics.ts";
export { startMailWorker, type MailWorker } from "./worker.ts";
export { createQueuesPage } from "./queuesPage.ts";
export type { MailQueue, TemplateName };

/** Mails to people. */
export interface Notify {
  /** Queues a mail; the same id is sent once. Rejects while Redis is away. */
  email(mail: { id: string; to: string; locale: MailLocale; template: TemplateName; data: TemplateData }): Promise<void>;
  /** The queue itself, for the operators' page. */
  readonly queue: MailQueue;
  close(): Promise<void>;
}

/** Creates the sending side. The connection stays the caller's. */
export function createNotify(deps: { redis: Redis; log: Logger }): Notify {
  const queue = createMailQueue(deps.redis, deps.log);
  return {
    queue,
    email: ({ id, ...mail }) => enqueueMail(queue, deps.redis, id, mail),
    close: () => queue.close().catch(() => undefined),
  };
}
