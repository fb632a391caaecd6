import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { ExpressAdapter } from "@bull-board/express";
import type { Router } from "express";
import type { Notify } from "./index.ts";
import type { MailJob } from "./queue.ts";

/** The adapter brings its own copy of the same interface. */
type ServerAdapter = Parameters<typeof createBullBoard>[0]["serverAdapter"];

/** The queues' page. The caller puts it behind a sign-in for operators and mounts it at `basePath`. */
export function createQueuesPage(options: { notify: Pick<Notify, "queues">; basePath: string }): Router {
  const adapter = new ExpressAdapter();
  adapter.setBasePath(options.basePath);
  const mail = new BullMQAdapter(options.notify.queues.mail, { description: "Mails to people" });
  // Codes and links are for their receiver alone.
  mail.setFormatter("data", ({ to, locale, template }: MailJob) => ({ to, locale, template }));
  const queues = [mail, new BullMQAdapter(options.notify.queues.webhooks, { description: "Notices to people's servers" })];
  createBullBoard({ queues, serverAdapter: adapter as unknown as ServerAdapter, options: { uiConfig: { boardTitle: "Tollkeeper" } } });
  return adapter.getRouter() as Router;
}
