import { formatCredits } from "../platform/credits.ts";
import { appError } from "../platform/errors.ts";
import { randomText } from "../platform/ids.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import type { SecretBox } from "../platform/secrets.ts";
import { cancelPending } from "./deliveries.ts";
import { findSettings, findWatches, lockSettings, watch, writeSettings, type SettingsRow, type WatchRow } from "./repository.ts";
import type { NoticesChange } from "./schema.ts";
import { webhookUrl } from "./url.ts";

/** Whose settings. */
export interface Owner {
  userId: string;
  walletId: bigint;
}

export interface NoticeSettings {
  read(owner: Owner): Promise<object>;
  /** Changes what is said and keeps the rest. A URL that is new gets a secret, which only this answer holds. */
  change(owner: Owner, change: NoticesChange): Promise<object>;
  /** A new secret in place of the old one, at once. Throws `invalid_state` without a webhook. */
  newSecret(owner: Owner): Promise<{ secret: string }>;
}

const newSecret = () => `whsec_${randomText(43)}`;
const NONE = { email: true, webhook_url: null, webhook_secret: null, webhook_status: null, webhook_failures: 0 } as const;

function view(row: Omit<SettingsRow, "user_id" | "wallet_id" | "updated_at">, watches: readonly WatchRow[], secret?: string) {
  return {
    thresholds: watches.map(({ threshold }) => formatCredits(threshold)),
    email: row.email,
    webhook: row.webhook_url && {
      url: row.webhook_url,
      status: row.webhook_status,
      failures: row.webhook_failures,
      ...(secret === undefined ? {} : { secret }),
    },
    states: watches.map(({ threshold, armed, turned_at }) => ({
      threshold: formatCredits(threshold),
      below: !armed,
      since: turned_at.toISOString(),
    })),
  };
}

/** What people want to be told. Secrets are sealed at rest. */
export function createNoticeSettings(deps: { pool: Pool; secretBox: SecretBox; allowPrivate: boolean }): NoticeSettings {
  const { pool, secretBox, allowPrivate } = deps;

  /** The webhook part of a change, and the secret if it is a new one. */
  function withWebhook(row: SettingsRow, url: string | null): { row: SettingsRow; secret?: string } {
    if (url === null) return { row: { ...row, webhook_url: null, webhook_secret: null, webhook_status: null, webhook_failures: 0 } };
    const on = { ...row, webhook_url: url, webhook_status: "active" as const, webhook_failures: 0 };
    if (url === row.webhook_url) return { row: on };
    const secret = newSecret();
    return { row: { ...on, webhook_secret: secretBox.seal(secret) }, secret };
  }

  return {
    async read({ userId, walletId }) {
      const [row, watches] = await Promise.all([findSettings(pool, userId), findWatches(pool, walletId)]);
      return view(row ?? NONE, watches);
    },

    async change({ userId, walletId }, change) {
      const url = change.webhook ? await webhookUrl(change.webhook.url, allowPrivate) : change.webhook;
      return inTransaction(pool, async (tx) => {
        const before = await lockSettings(tx, userId, walletId);
        const { row, secret } = url === undefined ? { row: before } : withWebhook(before, url);
        await writeSettings(tx, { ...row, email: change.email ?? row.email });
        if (url !== undefined && url !== before.webhook_url) await cancelPending(tx, userId);
        if (change.thresholds) await watch(tx, walletId, [...new Set(change.thresholds)]);
        return view({ ...row, email: change.email ?? row.email }, await findWatches(tx, walletId), secret);
      });
    },

    newSecret: ({ userId, walletId }) =>
      inTransaction(pool, async (tx) => {
        const row = await lockSettings(tx, userId, walletId);
        if (row.webhook_url === null) throw appError("invalid_state", { message: "There is no webhook" });
        const secret = newSecret();
        await writeSettings(tx, { ...row, webhook_secret: secretBox.seal(secret) });
        return { secret };
      }),
  };
}
