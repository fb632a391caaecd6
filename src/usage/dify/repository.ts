import type { Queryable } from "../../platform/postgres.ts";
import { difyMessageKey } from "../difyMessage.ts";
import type { UsageEvent } from "../event.ts";
import { requestKey, type DifyMessage } from "./message.ts";

/** Why a kept event is open; that a shortfall is still owed counts, too. */
export type KeptReason =
  | "user_not_found"
  | "model_not_found"
  | "model_not_priced"
  | "cost_out_of_range"
  | "totals_disagree"
  | "insufficient_balance"
  | "relay_waits"
  /** It met an error that nobody expects: see the incident of the same name. */
  | "settlement_refused";

/** A row of dify_events as it is written; int8 as text. */
export interface KeptEvent {
  id: string;
  message_id: string;
  request_id: string;
  conversation_id: string;
  external_user: string;
  model_name: string;
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  happened_at: string;
  received_at: string;
  deliveries: number;
  last_delivery_at: string;
  state: "open" | "charged" | "dismissed";
  reason: KeptReason | null;
  user_id: string | null;
  wallet_id: string | null;
  model: string | null;
  price_version_id: string | null;
  price_multiplier: number | null;
  event_id: string | null;
  event_at: string | null;
  relayed: boolean;
  cost: string | null;
  owed: string | null;
  balance_after: string | null;
  charged_at: string | null;
  processing_ms: number;
  status: number;
  answer: string;
  resolved_at: string | null;
  resolved_by: string | null;
  note: string | null;
}

/** An event that was kept before, as far as it is needed to answer or try again. */
export interface FirstEvent {
  id: string;
  message: DifyMessage;
  receivedAt: Date;
  processingMs: number;
  state: KeptEvent["state"];
  reason: KeptReason | null;
  charged: boolean;
  status: number;
  answer: string;
}

/** What was reported, as it is read from dify_events. */
export interface ReportedRow {
  id: string;
  message_id: string;
  request_id: string;
  conversation_id: string;
  external_user: string;
  model_name: string;
  input_tokens: bigint;
  output_tokens: bigint;
  total_tokens: bigint;
  happened_at: Date;
  received_at: Date;
}

interface FirstRow extends ReportedRow {
  n: bigint;
  processing_ms: number;
  state: KeptEvent["state"];
  reason: KeptReason | null;
  charged_at: Date | null;
  status: number;
  answer: string;
}

const FIRST = `id, message_id, request_id, conversation_id, external_user, model_name, input_tokens, output_tokens, total_tokens, happened_at,
  received_at, processing_ms, state, reason, charged_at, status, answer`;

const firstOf = (row: Omit<FirstRow, "n">): FirstEvent => ({
  id: row.id,
  message: {
    requestId: row.request_id,
    messageId: row.message_id,
    conversationId: row.conversation_id,
    user: row.external_user,
    model: row.model_name,
    inputTokens: Number(row.input_tokens),
    outputTokens: Number(row.output_tokens),
    totalTokens: Number(row.total_tokens),
    at: row.happened_at,
  },
  receivedAt: row.received_at,
  processingMs: row.processing_ms,
  state: row.state,
  reason: row.reason,
  charged: row.charged_at !== null,
  status: row.status,
  answer: row.answer,
});

/**
 * Takes deliveries in the caller's transaction: what came before, by the index of its repeat. Everything else is the caller's now, and waits
 * for nobody: who takes the same at the same instant waits for this transaction.
 */
export async function takeDeliveries(
  tx: Queryable,
  deliveries: readonly { id: string; message: DifyMessage; times: number }[],
): Promise<ReadonlyMap<number, FirstEvent>> {
  const { rows } = await tx.query<FirstRow>({
    name: "dify_take",
    text: `SELECT t.n, ${FIRST.replace(/\w+/g, "(t.first).$&")} FROM dify_take($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[]) t`,
    values: [
      deliveries.map(({ id }) => id),
      deliveries.map(({ message }) => difyMessageKey(message.messageId)),
      deliveries.map(({ message }) => requestKey(message.requestId)),
      deliveries.map(({ times }) => times),
    ],
  });
  return new Map(rows.map((row) => [Number(row.n) - 1, firstOf(row)]));
}

/** Those of the events that are open and not charged. */
export async function readOpen(db: Queryable, ids: readonly string[]): Promise<FirstEvent[]> {
  const { rows } = await db.query<FirstRow>(
    `SELECT ${FIRST} FROM dify_events WHERE id = ANY ($1::uuid[]) AND state = 'open' AND charged_at IS NULL ORDER BY id`,
    [ids],
  );
  return rows.map(firstOf);
}

/** Kept events as they are now, by their ids. */
export async function readEvents(db: Queryable, ids: readonly string[]): Promise<ReadonlyMap<string, FirstEvent>> {
  const { rows } = await db.query<FirstRow>(`SELECT ${FIRST} FROM dify_events WHERE id = ANY ($1::uuid[])`, [ids]);
  return new Map(rows.map((row) => [row.id, firstOf(row)]));
}

/** Locks those of the events that are open and not charged, in the order of their ids. */
export async function lockOpen(tx: Queryable, ids: readonly string[]): Promise<FirstEvent[]> {
  const { rows } = await tx.query<FirstRow>(
    `SELECT ${FIRST} FROM dify_events WHERE id = ANY ($1::uuid[]) AND state = 'open' AND charged_at IS NULL ORDER BY id FOR UPDATE`,
    [ids],
  );
  return rows.map(firstOf);
}

/** Claims messages for usage events, as the relay does when it records; the ids of the events whose message was recorded before. */
export async function claimMessages(tx: Queryable, events: readonly UsageEvent[]): Promise<string[]> {
  if (events.length === 0) return [];
  const { rows } = await tx.query<{ known: string[] }>({
    name: "dify_claim",
    text: "SELECT usage_claim_messages($1::uuid[], $2::uuid[], $3::timestamptz[]) AS known",
    values: [events.map(({ messageKey }) => messageKey), events.map(({ id }) => id), events.map(({ startedAt }) => startedAt)],
  });
  return rows[0]!.known;
}

/** Keeps what became of deliveries. */
export async function storeEvents(tx: Queryable, events: readonly KeptEvent[]): Promise<void> {
  await tx.query({ name: "dify_store", text: "SELECT dify_store($1::jsonb)", values: [JSON.stringify(events)] });
}

/**
 * Ids of open events whose numbers contradict each other and of which more is known since, oldest first: the relay has recorded the message, or
 * it came again with numbers that add up.
 */
export async function knownSince(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT e.id FROM dify_events e WHERE e.state = 'open' AND e.charged_at IS NULL AND e.reason = 'totals_disagree'
       AND (e.total_tokens = e.input_tokens + e.output_tokens
         OR EXISTS (SELECT FROM usage_messages m WHERE m.message_key = dify_message_key(e.message_id)))
     ORDER BY e.id LIMIT $1`,
    [limit],
  );
  return rows.map(({ id }) => id);
}

/** Ids of open events that nobody has been charged for, oldest first, after `after`. */
export async function openEvents(
  db: Queryable,
  filter: { reason?: string | undefined; user?: string | undefined; model?: string | undefined; after?: string | undefined; limit: number },
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM dify_events WHERE state = 'open' AND charged_at IS NULL AND ($1::text IS NULL OR reason = $1)
       AND ($2::text IS NULL OR external_user = $2) AND ($3::text IS NULL OR lower(model_name) = lower($3)) AND ($4::uuid IS NULL OR id > $4)
     ORDER BY id LIMIT $5`,
    [filter.reason ?? null, filter.user ?? null, filter.model ?? null, filter.after ?? null, filter.limit],
  );
  return rows.map(({ id }) => id);
}
