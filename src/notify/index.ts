import type { Redis } from "../platform/redis.ts";
import { createMailQueue, enqueueMail, type MailQueue } from "./queue.ts";
import type { MailLocale, TemplateData, TemplateName } from "./templates.ts";

export { createMailConsumer, type MailConsumer } from "./consumer.ts";
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

/** Creates the sending side on a connection that fails at once while Redis is gone (createRedis). The caller closes the connection. */
export function createNotify(deps: { redis: Redis }): Notify {
  const queue = createMailQueue(deps.redis);
  return {
    queue,
    email: ({ id, ...mail }) => enqueueMail(queue, id, mail),
    close: () => queue.close().catch(() => undefined),
  };
}
