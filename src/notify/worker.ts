import { Worker, type Job } from "bullmq";
import { createTransport, type Transporter } from "nodemailer";
import type { Logger } from "../platform/logger.ts";
import type { Redis } from "../platform/redis.ts";
import { within } from "../platform/within.ts";
import { MAIL_QUEUE, QUEUE_PREFIX, type MailJob } from "./queue.ts";
import { renderMail, type TemplateName } from "./templates.ts";

/** Sends what lies in the mail queue, for as long as the process lives. */
export interface MailWorker {
  /** Finishes the mails under way and stops. */
  close(): Promise<void>;
}

const CONCURRENCY = 5;
const SMTP_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * Consumes the mail queue. A mail that cannot be sent is tried again with growing pauses and then lies among the failed ones, where an
 * operator can see it and send it again. `redis` waits for Redis (createBlockingRedis) and stays the caller's. Without `smtpUrl` every mail fails, which is said: nothing is dropped silently.
 */
export function startMailWorker(deps: { redis: Redis; smtpUrl: string | undefined; from: string; log: Logger }): MailWorker {
  const { redis: connection, smtpUrl, from, log } = deps;
  if (!smtpUrl) log.warn("SMTP_URL is not set: mails are queued but cannot be sent");
  const timeouts = { connectionTimeout: SMTP_TIMEOUT_MS, greetingTimeout: SMTP_TIMEOUT_MS, socketTimeout: SMTP_TIMEOUT_MS };
  const transport: Transporter | undefined = smtpUrl
    ? createTransport({ url: smtpUrl, pool: true, maxConnections: CONCURRENCY, ...timeouts })
    : undefined;

  async function send(job: Job<MailJob, void, TemplateName>): Promise<void> {
    if (!transport) throw new Error("SMTP_URL is not set");
    const { to, locale, template, data } = job.data;
    // The same id on every try, so that a receiver can tell a repeat after a lost answer.
    const messageId = `<${job.id ?? ""}@tollkeeper>`;
    await transport.sendMail({ from, to: { name: "", address: to }, messageId, ...renderMail(template, locale, data) });
    // It is sent: failing to empty it must not send it again.
    await job.updateData({ to, locale, template, data: {} }).catch(() => undefined);
  }

  const worker = new Worker<MailJob, void, TemplateName>(MAIL_QUEUE, send, { connection, prefix: QUEUE_PREFIX, concurrency: CONCURRENCY });
  worker.on("error", () => undefined);
  worker.on("failed", (job, error) => {
    const last = job !== undefined && job.attemptsMade >= (job.opts.attempts ?? 1);
    const fields = { mail: job?.id, template: job?.name, attempt: job?.attemptsMade, reason: error.message };
    if (last) log.error({ alert: true, kind: "mail_failed", ...fields }, "a mail could not be sent");
    else log.warn(fields, "a mail could not be sent yet");
  });

  return {
    async close() {
      // While Redis is gone bullmq would wait for it.
      await within(CLOSE_TIMEOUT_MS, worker.close()).catch(() => undefined);
      transport?.close();
    },
  };
}
