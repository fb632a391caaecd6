import type { Queryable } from "../platform/postgres.ts";
import { sha256 } from "../platform/secrets.ts";
import type { Notice, RefusalKind } from "./providers/types.ts";

/** SQL of stored and of refused callbacks. */

export interface StoredCallback {
  id: bigint;
  provider: string;
  event_id: string;
  order_no: string;
  trade_no: string;
  kind: "paid" | "other";
  amount: bigint;
}

/** How much of a refused callback is kept. */
const KEPT_BYTES = 4_096;

/** Stores a verified callback once per provider and event. Undefined when it was stored before. */
export async function storeCallback(tx: Queryable, provider: string, notice: Notice, raw: Buffer): Promise<StoredCallback | undefined> {
  const { rows } = await tx.query<StoredCallback>(
    `INSERT INTO payment_callbacks (provider, event_id, order_no, trade_no, kind, amount, raw) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (provider, event_id) DO NOTHING RETURNING id, provider, event_id, order_no, trade_no, kind, amount`,
    [provider, notice.eventId, notice.orderNo, notice.tradeNo, notice.kind, notice.amount, raw],
  );
  return rows[0];
}

export async function markDelivered(db: Queryable, id: bigint): Promise<void> {
  await db.query("UPDATE payment_callbacks SET delivered_at = now() WHERE id = $1 AND delivered_at IS NULL", [id]);
}

/** Callbacks whose workflow has not been told, oldest first; those of the last moments are still in the hands of their request. */
export async function findUndelivered(db: Queryable, options: { afterMs: number; limit: number }): Promise<StoredCallback[]> {
  const { rows } = await db.query<StoredCallback>(
    `SELECT id, provider, event_id, order_no, trade_no, kind, amount FROM payment_callbacks
     WHERE delivered_at IS NULL AND received_at < now() - make_interval(secs => $1::float8 / 1000) ORDER BY received_at LIMIT $2`,
    [options.afterMs, options.limit],
  );
  return rows;
}

/** How many callbacks' workflows have not been told. */
export async function countUndelivered(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ waiting: number }>(
    "SELECT count(*)::integer AS waiting FROM payment_callbacks WHERE delivered_at IS NULL",
  );
  return rows[0]!.waiting;
}

/** The newest callback of an order that says paid. */
export async function lastPaidCallback(db: Queryable, orderNo: string): Promise<StoredCallback | undefined> {
  const { rows } = await db.query<StoredCallback>(
    `SELECT id, provider, event_id, order_no, trade_no, kind, amount FROM payment_callbacks
     WHERE order_no = $1 AND kind = 'paid' ORDER BY id DESC LIMIT 1`,
    [orderNo],
  );
  return rows[0];
}

/** Stores a refused callback; the same bytes again are counted. Returns how often they came. */
export async function storeRefusal(
  db: Queryable,
  refusal: { provider: string; kind: RefusalKind; raw: Buffer; orderNo: string | undefined; clientIp: string },
): Promise<bigint> {
  const { rows } = await db.query<{ times: bigint }>(
    `INSERT INTO payment_refusals AS r (provider, kind, raw_hash, raw, order_no, client_ip) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (provider, kind, raw_hash) DO UPDATE SET times = r.times + 1, last_at = now(), client_ip = excluded.client_ip RETURNING times`,
    [refusal.provider, refusal.kind, sha256(refusal.raw), refusal.raw.subarray(0, KEPT_BYTES), refusal.orderNo ?? null, refusal.clientIp],
  );
  return rows[0]!.times;
}

/** Deletes up to `limit` refused callbacks that last came `days` ago or earlier: anybody can make them. */
export async function forgetRefusals(db: Queryable, days: number, limit: number): Promise<void> {
  await db.query(
    "DELETE FROM payment_refusals WHERE id IN (SELECT id FROM payment_refusals WHERE last_at < now() - make_interval(days => $1) ORDER BY last_at LIMIT $2)",
    [days, limit],
  );
}
