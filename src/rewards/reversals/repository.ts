import type { Queryable } from "../../platform/postgres.ts";
import type { RewardKind } from "../payouts.ts";

/** A reward that is taken back because its top-up was refunded. Amounts in micro-credits. */
export interface ReversalRow {
  payment_id: string;
  order_no: string;
  kind: RewardKind;
  user_id: string;
  amount: bigint;
  /** So much of it has been taken back. */
  recovered: bigint;
  /** And so much was held back from later rewards of the same person. */
  withheld: bigint;
  created_at: Date;
  /** Null while running calls hold what is left of it. */
  ended_at: Date | null;
}

const COLUMNS = "payment_id, order_no, kind, user_id, amount, recovered, withheld, created_at, ended_at";

/** Asks for payments back, each once. */
export async function insertReversals(tx: Queryable, orderNo: string, paymentIds: readonly string[]): Promise<void> {
  await tx.query(
    `INSERT INTO reward_reversals (payment_id, order_no, kind, user_id, amount)
     SELECT id, $1, kind, user_id, amount FROM reward_payments WHERE id = ANY ($2) ON CONFLICT (payment_id) DO NOTHING`,
    [orderNo, paymentIds],
  );
}

/** Those that have not ended, all or those of one top-up: those tried least first. */
export async function openReversals(db: Queryable, limit: number, orderNo?: string): Promise<string[]> {
  const { rows } = await db.query<{ payment_id: string }>(
    `SELECT payment_id FROM reward_reversals WHERE ended_at IS NULL AND ($2::text IS NULL OR order_no = $2)
     ORDER BY attempts, created_at LIMIT $1`,
    [limit, orderNo ?? null],
  );
  return rows.map((row) => row.payment_id);
}

/** Counts that one is being tried, so that those that always fail hold up no other. */
export async function countTry(db: Queryable, paymentId: string): Promise<void> {
  await db.query("UPDATE reward_reversals SET attempts = attempts + 1 WHERE payment_id = $1", [paymentId]);
}

/** One that has not ended, locked. */
export async function lockOpen(tx: Queryable, paymentId: string): Promise<ReversalRow | undefined> {
  const { rows } = await tx.query<ReversalRow>(
    `SELECT ${COLUMNS} FROM reward_reversals WHERE payment_id = $1 AND ended_at IS NULL FOR UPDATE`,
    [paymentId],
  );
  return rows[0];
}

/** Notes what was taken back now, and whether that was all there will be. */
export async function noteRecovered(tx: Queryable, paymentId: string, taken: bigint, ended: boolean): Promise<void> {
  await tx.query("UPDATE reward_reversals SET recovered = recovered + $2, ended_at = CASE WHEN $3 THEN now() END WHERE payment_id = $1", [
    paymentId,
    taken,
    ended,
  ]);
}

/** Rewards of somebody of which not all came back, oldest first; those that running calls still hold are not among them yet. */
export async function dueReversals(
  tx: Queryable,
  userId: string,
): Promise<(Pick<ReversalRow, "payment_id" | "kind" | "order_no"> & { missing: bigint })[]> {
  const { rows } = await tx.query<Pick<ReversalRow, "payment_id" | "kind" | "order_no"> & { missing: bigint }>(
    `SELECT payment_id, kind, order_no, amount - recovered - withheld AS missing FROM reward_reversals
     WHERE user_id = $1 AND ended_at IS NOT NULL AND recovered + withheld < amount ORDER BY created_at, payment_id FOR UPDATE`,
    [userId],
  );
  return rows;
}

/** Newest first. */
export async function listReversals(
  db: Queryable,
  filter: { userId?: string | undefined; orderNo?: string | undefined; page: number; page_size: number },
): Promise<{ items: ReversalRow[]; total: number }> {
  const where = "WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::text IS NULL OR order_no = $2)";
  const values = [filter.userId ?? null, filter.orderNo ?? null];
  const total = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM reward_reversals ${where}`, values);
  const { rows } = await db.query<ReversalRow>(
    `SELECT ${COLUMNS} FROM reward_reversals ${where} ORDER BY created_at DESC, payment_id LIMIT $3 OFFSET $4`,
    [...values, filter.page_size, (filter.page - 1) * filter.page_size],
  );
  return { items: rows, total: Number(total.rows[0]!.total) };
}
