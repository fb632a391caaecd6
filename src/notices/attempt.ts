import type { Notify, WebhookJob, WebhookSender } from "../notify/index.ts";
import type { Logger } from "../platform/logger.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import type { SecretBox } from "../platform/secrets.ts";
import { countFailures, disableWebhook, findPending, writeAttempt } from "./deliveries.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Pauses between tries of one delivery: ten tries over some 21 hours. */
export const PAUSES_MS: readonly number[] = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  10 * HOUR_MS,
];
/** So many deliveries given up one after the other, and the webhook is switched off. */
const MOST_GIVEN_UP = 3;
/** The receiver says that it is there no more. */
const GONE = 410;

/**
 * Makes one try of a delivery and writes how it ended; a repeat of a try that was made does nothing. A try that is sent and then cut off
 * before it is written is made again: receivers tell repeats by the id.
 */
export function createAttempt(deps: {
  pool: Pool;
  secretBox: SecretBox;
  sender: WebhookSender;
  notify: Pick<Notify, "webhook">;
  log: Logger;
  pausesMs?: readonly number[];
}): (job: WebhookJob) => Promise<void> {
  const { pool, secretBox, sender, notify, log, pausesMs = PAUSES_MS } = deps;

  return async ({ deliveryId, attempt }) => {
    const due = await findPending(pool, deliveryId, attempt);
    if (!due) return;
    const result = await sender.send({ id: due.id, url: due.url, secret: secretBox.open(due.secret), body: due.body });
    const pauseMs = result.ok || result.status === GONE ? undefined : pausesMs[attempt];
    const state = result.ok ? "delivered" : pauseMs === undefined ? "failed" : "pending";
    const nextAt = pauseMs === undefined ? null : new Date(Date.now() + pauseMs);
    const written = await inTransaction(pool, async (tx) => {
      if (!(await writeAttempt(tx, due.id, attempt, { state, status: result.status, error: result.error, nextAt }))) return false;
      if (state === "delivered") await countFailures(tx, due.user_id, null);
      if (state === "failed") {
        const givenUp = await countFailures(tx, due.user_id, "up");
        if (givenUp >= MOST_GIVEN_UP || result.status === GONE) {
          await disableWebhook(tx, due.user_id);
          log.warn({ user: due.user_id, error: result.error }, "a webhook was switched off");
        }
      }
      return true;
    });
    // When Redis is away now, the next sweep asks for this try.
    if (written && pauseMs !== undefined) await notify.webhook({ deliveryId, attempt: attempt + 1 }, pauseMs).catch(() => undefined);
  };
}
