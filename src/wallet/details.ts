import { formatCredits } from "../platform/credits.ts";
import type { Queryable } from "../platform/postgres.ts";
import { consumptionId } from "../usage/index.ts";

/** What stands behind the transfers of a wallet: the calls that were charged and the credit that paid. */

interface CallRow {
  id: string;
  request_id: string;
  model: string;
  key_id: string | null;
  input_tokens: bigint;
  cached_input_tokens: bigint;
  cache_write_tokens: bigint;
  output_tokens: bigint;
  reasoning_tokens: bigint;
  price_version: number | null;
  status: string;
  duration_ms: number;
  created_at: Date;
  settled_at: Date | null;
}

interface MessageRow {
  event_id: string;
  message_id: string;
  conversation_id: string;
  request_id: string;
}

/** The message that Dify's webhook reported, where it did. */
interface DifyMessage {
  consumption_id: string;
  message_id: string;
  conversation_id: string;
  request_id: string;
}

/** The call behind a charge. */
export interface ChargedCall {
  id: string;
  request_id: string;
  model: string;
  key_id: string | null;
  /** All input, cached or not. */
  input_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  /** All output, reasoning included. */
  output_tokens: number;
  reasoning_tokens: number;
  price_version: number | null;
  status: string;
  duration_ms: number;
  created_at: string;
  settled_at: string | null;
  dify: DifyMessage | null;
}

/** A charge, what is owed of one, or a payment of that. */
const CHARGE = /^(?:usage|shortfall|collect):([0-9a-f-]{36})(?::\d+)?$/;
/** Nearly every call is settled within seconds; days before are looked through only for those that waited for an operator. */
const SOON_MS = 2 * 86_400_000;

const callIdOf = (transferId: string): string | undefined => CHARGE.exec(transferId)?.[1];

async function readCalls(db: Queryable, ids: readonly string[], from: Date | "-infinity", to: Date | "infinity"): Promise<CallRow[]> {
  if (ids.length === 0) return [];
  const { rows } = await db.query<CallRow>(
    `SELECT u.id, u.request_id, u.model, u.key_id, u.input_tokens + u.cached_input_tokens + u.cache_write_tokens + u.cache_write_long_tokens
       AS input_tokens, u.cached_input_tokens, u.cache_write_tokens + u.cache_write_long_tokens AS cache_write_tokens,
       u.output_tokens + u.reasoning_tokens AS output_tokens, u.reasoning_tokens, p.version AS price_version, u.status, u.duration_ms,
       u.created_at, u.settled_at
     FROM usage_events u LEFT JOIN price_versions p ON p.id = u.price_version_id
     WHERE u.id = ANY ($1::uuid[]) AND u.created_at BETWEEN $2 AND $3`,
    [ids, from, to],
  );
  return rows;
}

/** What Dify reported of these calls. */
async function readMessages(db: Queryable, ids: readonly string[]): Promise<ReadonlyMap<string, DifyMessage>> {
  if (ids.length === 0) return new Map();
  const { rows } = await db.query<MessageRow>(
    "SELECT event_id, message_id, conversation_id, request_id FROM dify_events WHERE event_id = ANY ($1::uuid[])",
    [ids],
  );
  return new Map(rows.map(({ event_id: id, ...message }) => [id, { consumption_id: consumptionId(id), ...message }]));
}

/** Calls by the id of the transfer that charged them. The ledger names a charge after its call. */
export async function callsOf(
  db: Queryable,
  transfers: readonly { id: string; createdAt: Date }[],
): Promise<ReadonlyMap<string, ChargedCall>> {
  const charges = transfers.flatMap(({ id, createdAt }) => {
    const call = callIdOf(id);
    return call === undefined ? [] : [{ call, time: createdAt.getTime() }];
  });
  const first = charges.reduce((least, { time }) => Math.min(least, time), Infinity);
  const last = charges.reduce((most, { time }) => Math.max(most, time), -Infinity);
  const ids = charges.map(({ call }) => call);
  const soon = ids.length === 0 ? [] : await readCalls(db, ids, new Date(first - SOON_MS), new Date(last + SOON_MS));
  const known = new Set(soon.map(({ id }) => id));
  const late = await readCalls(
    db,
    ids.filter((id) => !known.has(id)),
    "-infinity",
    "infinity",
  );
  const messages = await readMessages(db, ids);
  const calls = new Map([...soon, ...late].map((row) => [row.id, callView(row, messages.get(row.id))]));
  return new Map(transfers.flatMap(({ id }) => [calls.get(callIdOf(id) ?? "")].flatMap((call) => (call ? [[id, call] as const] : []))));
}

const callView = (row: CallRow, message: DifyMessage | undefined): ChargedCall => ({
  ...row,
  input_tokens: Number(row.input_tokens),
  cached_input_tokens: Number(row.cached_input_tokens),
  cache_write_tokens: Number(row.cache_write_tokens),
  output_tokens: Number(row.output_tokens),
  reasoning_tokens: Number(row.reasoning_tokens),
  created_at: row.created_at.toISOString(),
  settled_at: row.settled_at?.toISOString() ?? null,
  dify: message ?? null,
});

/** Credit of one kind that paid a part of a debit. */
export interface Burned {
  source: string;
  amount: string;
  expires_at: string | null;
}

/** What each transfer burned of which grants, in the order in which they burned; nothing for credits. */
export async function burnsOf(db: Queryable, transferIds: readonly string[]): Promise<ReadonlyMap<string, Burned[]>> {
  const { rows } = await db.query<{ transfer_id: string; source: string; amount: bigint; expires_at: Date | null }>(
    `SELECT b.transfer_id, g.source, b.amount, g.expires_at FROM ledger_burns b JOIN ledger_grants g ON g.id = b.grant_id
     WHERE b.transfer_id = ANY ($1) ORDER BY g.priority, g.expires_at NULLS LAST, g.id`,
    [transferIds],
  );
  const burns = new Map<string, Burned[]>();
  for (const { transfer_id: id, source, amount, expires_at } of rows) {
    const burned = { source, amount: formatCredits(amount), expires_at: expires_at?.toISOString() ?? null };
    burns.set(id, [...(burns.get(id) ?? []), burned]);
  }
  return burns;
}
