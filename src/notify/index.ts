import type { Logger } from "../platform/logger.ts";
import type { Redis } from "../platform/redis.ts";
import { createMailQueue, enqueueMail, type MailQueue } from "./queue.ts";
import type { MailLocale, TemplateData, TemplateName } from "./templates.ts";
import { createWebhookQueue, enqueueWebhook, type WebhookJob, type WebhookQueue } from "./webhooks/queue.ts";

export { watchQueues } from "./metrics.ts";
export { createWebhookSender, type WebhookSender } from "./webhooks/send.ts";
export { startWebhookWorker, type WebhookJob } from "./webhooks/queue.ts";
export { startMailWorker, type MailWorker } from "./worker.ts";
export { createQueuesPage } from "./queuesPage.ts";
export type { MailQueue, TemplateName };

/** Mails to people, and notices to their servers. */
export interface Notify {
  /** Queues a mail; the same id is sent once. Rejects while Redis is away. */
  email(mail: { id: string; to: string; locale: MailLocale; template: TemplateName; data: TemplateData }): Promise<void>;
  /** Asks for a try of an outbound webhook after `delayMs`; the same try is queued once. Rejects while Redis is away. */
  webhook(job: WebhookJob, delayMs?: number): Promise<void>;
  /** The queues themselves, for the operators' page. */
  readonly queues: { mail: MailQueue; webhooks: WebhookQueue };
  close(): Promise<void>;
}

/** Creates the sending side. The connection stays the caller's. */
export function createNotify(deps: { redis: Redis; log: Logger }): Notify {
  const mail = createMailQueue(deps.redis, deps.log);
  const webhooks = createWebhookQueue(deps.redis, deps.log);
  return {
    queues: { mail, webhooks },
    email: ({ id, ...job }) => enqueueMail(mail, deps.redis, id, job),
    webhook: (job, delayMs = 0) => enqueueWebhook(webhooks, deps.redis, job, delayMs),
    async close() {
      await Promise.allSettled([mail.close(), webhooks.close()]);
    },
  };
}
