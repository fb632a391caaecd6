import type { Queryable } from "../platform/postgres.ts";
import type { DELIVERY_STATES } from "./schema.ts";

/** What was sent, or is to be sent, to people's webhooks. */

type State = (typeof DELIVERY_STATES)[number];

/** A delivery that is due, with where it goes. */
export interface PendingDelivery {
  id: string;
  user_id: string;
  body: string;
  attempts: number;
  url: string;
  /** Sealed. */
  secret: string;
}

export interface DeliveryRow {
  id: string;
  type: string;
  body: string;
  state: State;
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  created_at: Date;
  next_at: Date;
  ended_at: Date | null;
}

const COLUMNS = "id, type, body, state, attempts, last_status, last_error, created_at, next_at, ended_at";

/** Keeps a delivery; the same id again changes nothing. */
export async function insertDelivery(tx: Queryable, delivery: { id: string; userId: string; type: string; body: string }): Promise<void> {
  await tx.query("INSERT INTO webhook_deliveries (id, user_id, type, body) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING", [
    delivery.id,
    delivery.userId,
    delivery.type,
    delivery.body,
  ]);
}

/** A delivery whose try `attempt` has not been made yet; undefined when there is nothing to do, also while the webhook is off. */
export async function findPending(db: Queryable, id: string, attempt: number): Promise<PendingDelivery | undefined> {
  const { rows } = await db.query<PendingDelivery>(
    `SELECT d.id, d.user_id, d.body, d.attempts, s.webhook_url AS url, s.webhook_secret AS secret
     FROM webhook_deliveries d JOIN notice_settings s ON s.user_id = d.user_id
     WHERE d.id = $1 AND d.attempts = $2 AND d.state = 'pending' AND s.webhook_status = 'active'`,
    [id, attempt],
  );
  return rows[0];
}

/** Writes how try `attempt` ended, once; false when somebody else has. `nextAt` is null for the last one. */
export async function writeAttempt(
  tx: Queryable,
  id: string,
  attempt: number,
  outcome: { state: State; status: number | null; error: string | null; nextAt: Date | null },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE webhook_deliveries SET state = $3, attempts = attempts + 1, last_status = $4, last_error = $5, next_at = coalesce($6, next_at),
       ended_at = CASE WHEN $3 = 'pending' THEN NULL ELSE now() END
     WHERE id = $1 AND attempts = $2 AND state = 'pending'`,
    [id, attempt, outcome.state, outcome.status, outcome.error, outcome.nextAt],
  );
  return rowCount === 1;
}

/** Nothing that waits is sent any more: the webhook is another one, or off. */
export async function cancelPending(tx: Queryable, userId: string): Promise<void> {
  await tx.query("UPDATE webhook_deliveries SET state = 'cancelled', ended_at = now() WHERE user_id = $1 AND state = 'pending'", [userId]);
}

/** Counts a delivery that was given up, or (`null`) that one arrived. Returns how many were given up in a row. */
export async function countFailures(tx: Queryable, userId: string, given: "up" | null): Promise<number> {
  const { rows } = await tx.query<{ webhook_failures: number }>(
    `UPDATE notice_settings SET webhook_failures = ${given === "up" ? "webhook_failures + 1" : "0"}
     WHERE user_id = $1 ${given === "up" ? "" : "AND webhook_failures > 0"} RETURNING webhook_failures`,
    [userId],
  );
  return rows[0]?.webhook_failures ?? 0;
}

/** Switches a webhook off; its owner is to be told. */
export async function disableWebhook(tx: Queryable, userId: string): Promise<void> {
  await tx.query(
    `UPDATE notice_settings SET webhook_status = 'disabled', webhook_told = false, updated_at = now()
     WHERE user_id = $1 AND webhook_status = 'active'`,
    [userId],
  );
  await cancelPending(tx, userId);
}

/** Tries that should have been made `lateMs` ago: their jobs are lost. */
export async function overdue(db: Queryable, lateMs: number, limit: number): Promise<{ id: string; attempts: number }[]> {
  const { rows } = await db.query<{ id: string; attempts: number }>(
    `SELECT id, attempts FROM webhook_deliveries WHERE state = 'pending' AND next_at < now() - make_interval(secs => $1::float8 / 1000)
     ORDER BY next_at LIMIT $2`,
    [lateMs, limit],
  );
  return rows;
}

export async function countSince(db: Queryable, userId: string, type: string, seconds: number): Promise<number> {
  const { rows } = await db.query<{ found: number }>(
    `SELECT count(*)::integer AS found FROM webhook_deliveries
     WHERE user_id = $1 AND type = $2 AND created_at > now() - make_interval(secs => $3)`,
    [userId, type, seconds],
  );
  return rows[0]!.found;
}

/** A page of somebody's deliveries, newest first. */
export async function listDeliveries(
  db: Queryable,
  userId: string,
  state: State | undefined,
  page: { limit: number; offset: number },
): Promise<{ items: DeliveryRow[]; total: number }> {
  const where = "WHERE user_id = $1 AND ($2::text IS NULL OR state = $2)";
  const values = [userId, state ?? null];
  const count = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM webhook_deliveries ${where}`, values);
  const { rows } = await db.query<DeliveryRow>(
    `SELECT ${COLUMNS} FROM webhook_deliveries ${where} ORDER BY created_at DESC, id LIMIT $3 OFFSET $4`,
    [...values, page.limit, page.offset],
  );
  return { items: rows, total: Number(count.rows[0]!.total) };
}
