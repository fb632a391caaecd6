import type { Identity } from "../identity/index.ts";
import type { Notify } from "../notify/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Logger } from "../platform/logger.ts";
import { afterCommit, inTransaction, type Pool, type PoolClient } from "../platform/postgres.ts";
import { insertDelivery, overdue } from "./deliveries.ts";
import {
  countNotice,
  countUntold,
  forgetOld,
  markTold,
  markUntoldAsTold,
  takeNotice,
  takeUntold,
  type SettingsRow,
  type WaitingNotice,
} from "./repository.ts";

/** What one run told. */
export interface Told {
  notices: number;
  disabled: number;
  /** Deliveries whose job was lost. */
  requeued: number;
  /** Who could not be told; they are tried again. */
  failed: number;
}

export interface TellDeps {
  pool: Pool;
  notify: Pick<Notify, "email" | "webhook">;
  contact: Identity["contact"];
  publicUrl: string;
  /** Tells whoever watches; nobody waits for it. */
  push(userId: string, notice: { kind: "balance.low"; threshold: string; balance: string }): void;
  log: Logger;
}

/** A try that is so late has lost its job. */
const LATE_MS = 60_000;
const MOST_REQUEUED = 1_000;
const KEPT_DAYS = 90;
const FORGOTTEN_AT_ONCE = 10_000;
/** When so many fail one after the other it is not their fault: the queue is away. */
const MOST_FAILED = 3;

/** What is posted about a crossing; the id is the same on every try. */
export function lowBalanceBody(notice: Pick<WaitingNotice, "id" | "user_id" | "threshold" | "balance" | "crossed_at">): string {
  return JSON.stringify({
    id: notice.id,
    type: "balance.low",
    created_at: notice.crossed_at.toISOString(),
    data: { user_id: notice.user_id, threshold: formatCredits(notice.threshold), balance: formatCredits(notice.balance) },
  });
}

interface Done {
  done: number;
  failed: number;
  /** The last failure. */
  error?: unknown;
}

/** One kind of thing to tell. */
interface Telling<T> {
  /** Locks the next one but those that failed. */
  take(tx: PoolClient, failed: readonly string[]): Promise<T | undefined>;
  idOf(found: T): string;
  tell(tx: PoolClient, found: T): Promise<void>;
  /** Counts one that failed, so that others come first the next time. */
  count(id: string): Promise<void>;
}

/**
 * Puts mails and webhooks about crossings on their way. A crossing counts as told in the transaction that kept its delivery and saw its
 * mail queued; whatever is cut off before is told by the next run, and queues take the same mail and the same try once. One that fails holds
 * up no other. Rejects when nobody could be told, as while Redis is away: nothing is lost.
 */
export function createTell(deps: TellDeps) {
  const { pool, notify, contact, publicUrl, push, log } = deps;

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

  /** Tells one after the other until there is none but those that failed, or several in a row did. */
  async function each<T>({ take, idOf, tell, count }: Telling<T>): Promise<Done> {
    const result: Done = { done: 0, failed: 0 };
    const failed: string[] = [];
    for (let inRow = 0; inRow < MOST_FAILED;) {
      let found: T | undefined;
      try {
        await inTransaction(pool, async (tx) => {
          found = await take(tx, failed);
          if (found !== undefined) await tell(tx, found);
        });
        if (found === undefined) break;
        result.done += 1;
        inRow = 0;
      } catch (error) {
        if (found === undefined) throw error;
        const id = idOf(found);
        await count(id);
        log.error({ err: error, id }, "somebody could not be told; it is tried again");
        failed.push(id);
        inRow += 1;
        result.failed += 1;
        result.error = error;
      }
    }
    return result;
  }

  return {
    async tell(onProgress?: (told: number) => void): Promise<Told> {
      let told = 0;
      const notices = await each<WaitingNotice>({
        take: takeNotice,
        idOf: ({ id }) => id,
        count: (id) => countNotice(pool, id),
        async tell(tx, notice) {
          if (notice.webhook)
            await insertDelivery(tx, { id: notice.id, userId: notice.user_id, type: "balance.low", body: lowBalanceBody(notice) });
          await mailLow(notice);
          await markTold(tx, notice.id);
          const { user_id, threshold, balance } = notice;
          afterCommit(tx, () =>
            push(user_id, { kind: "balance.low", threshold: formatCredits(threshold), balance: formatCredits(balance) }),
          );
          onProgress?.((told += 1));
        },
      });
      const disabled = await each<SettingsRow>({
        take: takeUntold,
        idOf: ({ user_id }) => user_id,
        count: (id) => countUntold(pool, id),
        async tell(tx, row) {
          await mailDisabled(row);
          await markUntoldAsTold(tx, row.user_id);
        },
      });
      // New deliveries have no job yet, others may have lost theirs.
      const due = await overdue(pool, notices.done > 0 ? 0 : LATE_MS, MOST_REQUEUED);
      for (const { id, attempts } of due) await notify.webhook({ deliveryId: id, attempt: attempts });
      // Nobody could be told: that is for whoever looks at the runs.
      const error = notices.error ?? disabled.error;
      if (error !== undefined && notices.done + disabled.done === 0) throw error;
      return { notices: notices.done, disabled: disabled.done, requeued: due.length, failed: notices.failed + disabled.failed };
    },
    /** Forgets what was told and sent long ago. */
    forget: () => forgetOld(pool, KEPT_DAYS, FORGOTTEN_AT_ONCE),
  };
}

export type Tell = ReturnType<typeof createTell>;
