import { createBatcher } from "../platform/batcher.ts";
import { inBatches } from "../platform/inBatches.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool, Queryable } from "../platform/postgres.ts";
import { within } from "../platform/within.ts";

/** A message that a relayed call is making: whoever reports it first charges it as that call. */
export interface MessageCall {
  /** See difyMessage.ts. */
  messageKey: string;
  /** Also its hold's. */
  callId: string;
  calledAt: Date;
  userId: string;
  walletId: bigint;
  keyId: string | null;
  tokenId: string | null;
  model: string;
  providerId: string | null;
  providerName: string | null;
  priceVersionId: bigint;
  priceMultiplier: number;
  /** What its model counts in quotas, in percent; null while only credits are counted. */
  quotaWeight: number | null;
}

/** A message that came to nothing for the call that made it. */
export type WaivedMessage = Pick<MessageCall, "messageKey" | "callId" | "calledAt">;

/** A report later than this finds the call's own record, or a hold that is long closed. */
const KEPT_DAYS = 2;
const MAX_BATCH = 200;
/** Nobody's answer waits longer for a message to be waived. */
const PATIENCE_MS = 1_000;

/** What the relay says of messages before their calls are recorded. */
export interface MessageNotes {
  /** Says which call makes a message. Best effort, and never rejects: what is not noted is settled when the call is recorded. */
  noteMessage(call: MessageCall): Promise<void>;
  /** Says that a message costs nothing, unless it was charged before. Resolves when that is durable or takes too long; never rejects. */
  waiveMessage(message: WaivedMessage): Promise<void>;
  /** Waits until all that was said is written, or could not be. */
  idle(): Promise<void>;
}

/** Creates the notes of one process; many callers share one statement. */
export function createMessageNotes({ pool, log }: { pool: Pool; log: Logger }): MessageNotes {
  const written = <T>(write: (items: readonly T[]) => Promise<void>) => ({
    run: async (items: T[]) => {
      await write(items);
      return items.map(() => undefined);
    },
    maxBatch: MAX_BATCH,
  });
  const noting = createBatcher<MessageCall, undefined>(written((calls) => insertCalls(pool, calls)));
  const waiving = createBatcher<WaivedMessage, undefined>(written((messages) => insertWaived(pool, messages)));

  async function best(work: Promise<unknown>, message: string): Promise<void> {
    await work.catch((error: unknown) => log.warn({ err: error }, message));
  }
  return {
    noteMessage: (call) => best(noting.add(call), "which call makes a message could not be noted"),
    waiveMessage: (message) => best(within(PATIENCE_MS, waiving.add(message)), "that a message costs nothing could not be noted"),
    async idle() {
      await noting.idle();
      await waiving.idle();
    },
  };
}

/** The last call says it for a message that several make: the first may have left. */
async function insertCalls(pool: Pool, calls: readonly MessageCall[]): Promise<void> {
  const distinct = [...new Map(calls.map((call) => [call.messageKey, call])).values()];
  const column = <T>(pick: (call: MessageCall) => T): T[] => distinct.map(pick);
  await pool.query({
    name: "message_calls_note",
    text: `INSERT INTO message_calls AS m (message_key, call_id, called_at, user_id, wallet_id, key_id, token_id, model, provider_id,
        provider_name, price_version_id, price_multiplier, quota_weight)
      SELECT c.* FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::uuid[], $7::uuid[], $8::text[],
        $9::uuid[], $10::text[], $11::bigint[], $12::integer[], $13::integer[]) AS c (message_key)
      ORDER BY 1
      ON CONFLICT (message_key) DO UPDATE SET call_id = excluded.call_id, called_at = excluded.called_at, key_id = excluded.key_id,
        token_id = excluded.token_id, price_version_id = excluded.price_version_id, price_multiplier = excluded.price_multiplier,
        quota_weight = excluded.quota_weight, noted_at = excluded.noted_at`,
    values: [
      column((call) => call.messageKey),
      column((call) => call.callId),
      column((call) => call.calledAt),
      column((call) => call.userId),
      column((call) => call.walletId),
      column((call) => call.keyId),
      column((call) => call.tokenId),
      column((call) => call.model),
      column((call) => call.providerId),
      column((call) => call.providerName),
      column((call) => call.priceVersionId),
      column((call) => call.priceMultiplier),
      column((call) => call.quotaWeight),
    ],
  });
}

async function insertWaived(pool: Pool, messages: readonly WaivedMessage[]): Promise<void> {
  await pool.query({
    name: "usage_waive_messages",
    text: "SELECT usage_waive_messages($1::uuid[], $2::uuid[], $3::timestamptz[])",
    values: [messages.map(({ messageKey }) => messageKey), messages.map(({ callId }) => callId), messages.map(({ calledAt }) => calledAt)],
  });
}

/** The calls that make these messages, by message key. */
export async function callsOf(db: Queryable, keys: readonly string[]): Promise<ReadonlyMap<string, MessageCall>> {
  // Planned each time: a connection keeps the plans of named statements from when the table was small.
  const { rows } = await db.query<MessageCall>(
    `SELECT message_key AS "messageKey", call_id AS "callId", called_at AS "calledAt", user_id AS "userId", wallet_id AS "walletId",
       key_id AS "keyId", token_id AS "tokenId", model, provider_id AS "providerId", provider_name AS "providerName",
       price_version_id AS "priceVersionId", price_multiplier AS "priceMultiplier", quota_weight AS "quotaWeight"
     FROM message_calls WHERE message_key = ANY ($1::uuid[])`,
    [keys],
  );
  return new Map(rows.map((row) => [row.messageKey, row]));
}

/** Forgets which calls made messages that are long over. May run at any time, twice, and on several workers; answers how many. */
export function forgetMessageCalls(pool: Pool): Promise<number> {
  return inBatches(async (most) => {
    const { rowCount } = await pool.query(
      `DELETE FROM message_calls WHERE message_key IN
         (SELECT message_key FROM message_calls WHERE noted_at < clock_timestamp() - $1 * interval '1 day' ORDER BY noted_at LIMIT $2)`,
      [KEPT_DAYS, most],
    );
    return rowCount ?? 0;
  });
}
