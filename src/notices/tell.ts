import type { Identity } from "../identity/index.ts";
import type { Notify } from "../notify/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { inTransaction, type Pool, type PoolClient } from "../platform/postgres.ts";
import { insertDelivery, overdue } from "./deliveries.ts";
import { forgetOld, markTold, markUntoldAsTold, takeNotice, takeUntold, type SettingsRow, type WaitingNotice } from "./repository.ts";

/** What one run told. */
export interface Told {
  notices: number;
  disabled: number;
  /** Deliveries whose job was lost. */
  requeued: number;
}

export interface TellDeps {
  pool: Pool;
  notify: Pick<Notify, "email" | "webhook">;
  contact: Identity["contact"];
  publicUrl: string;
}

/** A try that is so late has lost its job. */
const LATE_MS = 60_000;
const MOST_REQUEUED = 1_000;
const KEPT_DAYS = 90;
const FORGOTTEN_AT_ONCE = 10_000;

/** What is posted about a crossing; the id is the same on every try. */
export function lowBalanceBody(notice: Pick<WaitingNotice, "id" | "user_id" | "threshold" | "balance" | "crossed_at">): string {
  return JSON.stringify({
    id: notice.id,
    type: "balance.low",
    created_at: notice.crossed_at.toISOString(),
    data: { user_id: notice.user_id, threshold: formatCredits(notice.threshold), balance: formatCredits(notice.balance) },
  });
}

/**
 * Puts mails and webhooks about crossings on their way. A crossing counts as told in the transaction that kept its delivery and saw its
 * mail queued; whatever is cut off before is told by the next run, and queues take the same mail and the same try once. Rejects while
 * Redis is away: nothing is lost.
 */
export function createTell(deps: TellDeps) {
  const { pool, notify, contact, publicUrl } = deps;

  async function mailLow(notice: WaitingNotice): Promise<void> {
    const person = notice.email ? await contact(notice.user_id) : undefined;
    if (!person) return;
    await notify.email({
      id: `low_balance:${notice.id}`,
      to: person.email,
      locale: person.locale,
      template: "low_balance",
      data: {
        name: person.name,
        threshold: formatCredits(notice.threshold),
        balance: formatCredits(notice.balance),
        at: notice.crossed_at.toISOString().replace("T", " ").slice(0, 19),
        url: publicUrl,
      },
    });
  }

  async function mailDisabled(row: SettingsRow): Promise<void> {
    const person = await contact(row.user_id);
    if (!person || row.webhook_url === null) return;
    await notify.email({
      id: `webhook_disabled:${row.user_id}:${row.updated_at.toISOString()}`,
      to: person.email,
      locale: person.locale,
      template: "webhook_disabled",
      data: { name: person.name, url: row.webhook_url },
    });
  }

  /** Takes one thing after the other until there is none; returns how many there were. */
  async function each<T>(take: (tx: PoolClient) => Promise<T | undefined>, work: (tx: PoolClient, found: T) => Promise<void>) {
    for (let done = 0; ; done += 1) {
      const found = await inTransaction(pool, async (tx) => {
        const next = await take(tx);
        if (next !== undefined) await work(tx, next);
        return next;
      });
      if (found === undefined) return done;
    }
  }

  return {
    async tell(onProgress?: (told: number) => void): Promise<Told> {
      let told = 0;
      const notices = await each(takeNotice, async (tx, notice) => {
        if (notice.webhook)
          await insertDelivery(tx, { id: notice.id, userId: notice.user_id, type: "balance.low", body: lowBalanceBody(notice) });
        await mailLow(notice);
        await markTold(tx, notice.id);
        onProgress?.((told += 1));
      });
      const disabled = await each(takeUntold, async (tx, row) => {
        await mailDisabled(row);
        await markUntoldAsTold(tx, row.user_id);
      });
      // New deliveries have no job yet, others may have lost theirs.
      const due = await overdue(pool, notices > 0 ? 0 : LATE_MS, MOST_REQUEUED);
      for (const { id, attempts } of due) await notify.webhook({ deliveryId: id, attempt: attempts });
      return { notices, disabled, requeued: due.length };
    },
    /** Forgets what was told and sent long ago. */
    forget: () => forgetOld(pool, KEPT_DAYS, FORGOTTEN_AT_ONCE),
  };
}

export type Tell = ReturnType<typeof createTell>;
