import type { SettleFollow } from "../ledger/index.ts";
import { patiently } from "../platform/locked.ts";
import type { Pool, Queryable } from "../platform/postgres.ts";
import type { Units } from "../pricing/index.ts";

/** An event ready for the SQL functions. */
export interface EncodedEvent {
  id: string;
  shard: number;
  json: string;
  /** What its hold is told that it used, for quotas. */
  countedTokens: number | undefined;
  /** Of a message that may have been recorded before. */
  messageKey: string | undefined;
}

/** A recorded call that waits for settlement. Times are kept as text: a JavaScript date would lose Postgres' microseconds. */
export interface PendingEvent {
  id: string;
  created_at: string;
  request_id: string;
  user_id: string;
  wallet_id: bigint;
  model: string;
  price_version_id: bigint | null;
  input_tokens: bigint;
  cached_input_tokens: bigint;
  cache_write_tokens: bigint;
  cache_write_long_tokens: bigint;
  output_tokens: bigint;
  reasoning_tokens: bigint;
  units: Units | null;
  price_multiplier: number;
  route: string;
  /** Seconds since its record was durable. */
  waited: number;
  /** Of what was reported or asked for: the hold of the call that made it. Never read from the table, for it is settled as it is recorded. */
  hold_id?: string | null;
}

const PENDING = "billable AND settled_at IS NULL AND set_aside_at IS NULL";
const PENDING_COLUMNS = `id, created_at::text AS created_at, request_id, user_id, wallet_id, model, price_version_id,
  input_tokens, cached_input_tokens, cache_write_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, units,
  price_multiplier, route, extract(epoch FROM clock_timestamp() - recorded_at)::float8 AS waited`;

/** First key of the two-part advisory lock "this shard is being settled". */
const SHARD_LOCK = 7_266_005;

const jsonArray = (events: readonly EncodedEvent[]) => `[${events.map((event) => event.json).join(",")}]`;

/** True when Postgres says that the values themselves are wrong (SQLSTATE classes 22 and 23), so that trying again is of no use. */
export function isDataError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^2[23]\w{3}$/.test(code);
}

/**
 * Records calls to be charged. Returns the shards that nobody is draining, and the events whose message was recorded before: of those
 * nothing was written. Where events have messages it rejects with a lock time-out (isLockTimeout) when somebody is just recording one of these
 * and stands still; then nothing was written.
 */
export async function insertBillable(pool: Pool, events: readonly EncodedEvent[]): Promise<{ wake: number[]; known: string[] }> {
  const keyed = events.some(({ messageKey }) => messageKey !== undefined);
  const record = keyed
    ? `${patiently("usage_record_messages", "jsonb", "$2::integer[]")} AS r`
    : "usage_record($1::jsonb, $2::integer[]) AS wake";
  const name = keyed ? "usage_record_messages" : "usage_record";
  const values = [jsonArray(events), [...new Set(events.map((event) => event.shard))]];
  const counted = events.filter(({ countedTokens }) => countedTokens !== undefined);
  const { rows } = await pool.query<{ wake: number[] | null; known?: string[] | null }>(
    counted.length === 0
      ? { name, text: keyed ? `SELECT r.* FROM ${record}` : `SELECT ${record}`, values }
      : {
          name: `${name}_counted`,
          text: keyed
            ? `SELECT r.*, ledger_note_tokens($3::uuid[], $4::bigint[]) FROM ${record}`
            : `SELECT ${record}, ledger_note_tokens($3::uuid[], $4::bigint[])`,
          values: [...values, counted.map(({ id }) => id), counted.map(({ countedTokens }) => countedTokens)],
        },
  );
  return { wake: rows[0]?.wake ?? [], known: rows[0]?.known ?? [] };
}

/** Records calls that cost nothing. */
export async function insertFree(pool: Pool, events: readonly EncodedEvent[]): Promise<void> {
  await pool.query({ name: "usage_record_free", text: "SELECT usage_record_free($1::jsonb)", values: [jsonArray(events)] });
}

/** Those of the calls that are recorded and wait to be charged. */
export async function owing(db: Queryable, ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ ids: string[] }>("SELECT usage_owing($1) AS ids", [ids]);
  return rows[0]!.ids;
}

/** Takes the shard for this transaction; false when another worker has it. */
export async function lockShard(tx: Queryable, shard: number): Promise<boolean> {
  const { rows } = await tx.query<{ taken: boolean }>("SELECT pg_try_advisory_xact_lock($1, $2) AS taken", [SHARD_LOCK, shard]);
  return rows[0]?.taken ?? false;
}

/** Whether anything of a shard waits. `since` leaves out older days, which makes the question cheap to ask often. */
export async function hasPending(db: Queryable, shard: number, since: Date | undefined): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM usage_events WHERE shard = $1 AND ${PENDING} AND created_at >= $2::timestamptz) AS found`,
    [shard, since?.toISOString() ?? "-infinity"],
  );
  return rows[0]?.found ?? false;
}

/** Locks the oldest waiting events of a shard; those locked by somebody else (an inline settlement) are passed over. */
export async function takePending(tx: Queryable, shard: number, limit: number, since: Date | undefined): Promise<PendingEvent[]> {
  const { rows } = await tx.query<PendingEvent>(
    `SELECT ${PENDING_COLUMNS} FROM usage_events WHERE shard = $1 AND ${PENDING} AND created_at >= $3::timestamptz
     ORDER BY usage_events.created_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [shard, limit, since?.toISOString() ?? "-infinity"],
  );
  return rows;
}

/** Events of a key or a user that wait for settlement, of calls that began since a moment. */
export async function waitingSince(
  db: Queryable,
  { column, id }: { column: "key_id" | "user_id"; id: string },
  since: Date,
): Promise<PendingEvent[]> {
  const { rows } = await db.query<PendingEvent>(
    `SELECT ${PENDING_COLUMNS} FROM usage_events
     WHERE user_id = ${column === "user_id" ? "$1" : "(SELECT user_id FROM api_keys WHERE id = $1)"} AND ${column} = $1
       AND created_at >= $2 AND ${PENDING}`,
    [id, since],
  );
  return rows;
}

/** Locks one event; undefined when it does not wait for settlement. */
export async function takeOne(tx: Queryable, id: string): Promise<PendingEvent | undefined> {
  const { rows } = await tx.query<PendingEvent>(`SELECT ${PENDING_COLUMNS} FROM usage_events WHERE id = $1 AND ${PENDING} FOR UPDATE`, [
    id,
  ]);
  return rows[0];
}

/**
 * Locks those of these events that wait for settlement and that nobody is just settling. `at` is when each began, as text: no other day is
 * looked into.
 */
export async function takeEvents(tx: Queryable, events: readonly { id: string; at: string }[]): Promise<PendingEvent[]> {
  if (events.length === 0) return [];
  const { rows } = await tx.query<PendingEvent>(
    `SELECT ${PENDING_COLUMNS} FROM usage_events WHERE id = ANY ($1::uuid[]) AND usage_events.created_at = ANY ($2::timestamptz[]) AND ${PENDING}
     ORDER BY usage_events.id FOR UPDATE SKIP LOCKED`,
    [events.map(({ id }) => id), events.map(({ at }) => at)],
  );
  return rows;
}

/**
 * Writes what events were charged, and roll-ups, in the statement that charges them: those of `unrecorded` whole, as JSON by their ids. Answers
 * how many were still unsettled.
 */
export function settledBy(events: readonly PendingEvent[], unrecorded?: ReadonlyMap<string, string>): SettleFollow {
  const fresh = events.flatMap(({ id }) => unrecorded?.get(id) ?? []);
  return {
    call: "usage_settle",
    values: [
      events.map(({ id }) => id),
      events.map(({ id, created_at }) => (unrecorded?.has(id) ? null : created_at)),
      fresh.length === 0 ? null : `[${fresh.join(",")}]`,
    ],
  };
}

/** Puts events out of the queue until an operator looks at them. Their holds stay. */
export async function setAside(tx: Queryable, events: readonly PendingEvent[]): Promise<void> {
  await tx.query(
    `UPDATE usage_events u SET set_aside_at = clock_timestamp()
     FROM unnest($1::uuid[], $2::timestamptz[]) AS e(id, created_at) WHERE u.id = e.id AND u.created_at = e.created_at`,
    [events.map((event) => event.id), events.map((event) => event.created_at)],
  );
}

/** Puts one event back into the queue; false when it was not set aside. */
export async function putBack(tx: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    "UPDATE usage_events SET set_aside_at = NULL WHERE id = $1 AND set_aside_at IS NOT NULL AND settled_at IS NULL",
    [id],
  );
  return rowCount === 1;
}

/** Says that a shard is being drained for the next `ms`, or (0) no longer. */
export async function markDraining(db: Queryable, shard: number, ms: number): Promise<void> {
  await db.query(
    `INSERT INTO settlement_shards (shard, draining_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2::float8 / 1000))
     ON CONFLICT (shard) DO UPDATE SET draining_until = excluded.draining_until`,
    [shard, ms],
  );
}

/** How much of a shard waits (counted up to 100 000) and since when. */
export async function pendingOf(db: Queryable, shard: number): Promise<{ pending: number; oldest: Date | null }> {
  const { rows } = await db.query<{ pending: number; oldest: Date | null }>(
    `SELECT count(*)::integer AS pending, min(created_at) AS oldest
     FROM (SELECT created_at FROM usage_events WHERE shard = $1 AND ${PENDING} LIMIT 100000) AS waiting`,
    [shard],
  );
  return rows[0] ?? { pending: 0, oldest: null };
}

/** What waits in all shards (counted up to 100 000), and the age of the oldest record. */
export async function backlog(db: Queryable): Promise<{ pending: number; oldestSeconds: number }> {
  const { rows } = await db.query<{ pending: number; oldest: number }>(
    `SELECT count(*)::integer AS pending, coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::float8 AS oldest
     FROM (SELECT recorded_at FROM usage_events WHERE ${PENDING} LIMIT 100000) AS waiting`,
  );
  return { pending: rows[0]?.pending ?? 0, oldestSeconds: Math.max(0, rows[0]?.oldest ?? 0) };
}

/** Moves waiting events of shards that no longer exist (SETTLEMENT_SHARDS was lowered) to one that does. */
export async function reshard(db: Queryable, shards: number): Promise<number> {
  const { rowCount } = await db.query(`UPDATE usage_events SET shard = shard % $1 WHERE shard >= $1 AND ${PENDING}`, [shards]);
  return rowCount ?? 0;
}
