import type { Queryable } from "../platform/postgres.ts";

/** A completed top-up that rewards may follow from. */
export interface TopUp {
  orderNo: string;
  userId: string;
  /** What was bought without any bonus, less what was refunded of it; micro-credits. */
  credits: bigint;
  completedAt: Date;
}

interface Row {
  order_no: string;
  user_id: string;
  credits: bigint;
  completed_at: Date;
}

/** Notes a top-up in the transaction that credits it, so that what follows from it can be late but never lost. False when it was noted before. */
export async function noteTopUp(tx: Queryable, topUp: Omit<TopUp, "completedAt">): Promise<boolean> {
  const { rowCount } = await tx.query(
    "INSERT INTO reward_topups (order_no, user_id, credits, completed_at) VALUES ($1, $2, $3, now()) ON CONFLICT (order_no) DO NOTHING",
    [topUp.orderNo, topUp.userId, topUp.credits],
  );
  return rowCount === 1;
}

/** Notes that so many of its credits were refunded. What becomes of its rewards is decided anew; of one refunded in full there are none. */
export async function noteRefund(tx: Queryable, orderNo: string, credits: bigint): Promise<void> {
  await tx.query(
    `UPDATE reward_topups SET refunded_credits = least(credits, refunded_credits + $2), reversed_at = NULL,
       refunded_at = CASE WHEN refunded_credits + $2 >= credits THEN coalesce(refunded_at, now()) ELSE refunded_at END
     WHERE order_no = $1`,
    [orderNo, credits],
  );
}

const topUpOf = (row: Row): TopUp => ({ orderNo: row.order_no, userId: row.user_id, credits: row.credits, completedAt: row.completed_at });

const LEFT = "(credits - refunded_credits)";
const COLUMNS = `order_no, user_id, ${LEFT} AS credits, completed_at`;
const WAITS = "done_at IS NULL";
/** Refunded, all of it or a part, and not decided. */
export const REFUNDED = "(refunded_at IS NOT NULL OR refunded_credits > 0) AND reversed_at IS NULL";

/** Top-ups whose rewards are not paid yet: those that failed least first, so that one that always fails holds up no other. */
export async function waitingTopUps(db: Queryable, limit: number): Promise<TopUp[]> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM reward_topups WHERE ${WAITS} ORDER BY attempts, completed_at LIMIT $1`, [
    limit,
  ]);
  return rows.map(topUpOf);
}

export async function waitingTopUp(db: Queryable, orderNo: string): Promise<TopUp | undefined> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM reward_topups WHERE order_no = $1 AND ${WAITS}`, [orderNo]);
  return rows[0] && topUpOf(rows[0]);
}

/** Refunded top-ups of whose rewards nothing was decided yet, likewise. */
export async function refundedTopUps(db: Queryable, limit: number): Promise<TopUp[]> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM reward_topups WHERE ${REFUNDED} ORDER BY attempts, refunded_at LIMIT $1`, [
    limit,
  ]);
  return rows.map(topUpOf);
}

/** Marks a top-up as done, or counts a failed attempt. */
export async function markTopUp(db: Queryable, orderNo: string, outcome: "done" | "failed"): Promise<void> {
  await db.query(
    "UPDATE reward_topups SET attempts = attempts + 1, done_at = CASE WHEN $2 THEN coalesce(done_at, now()) ELSE done_at END WHERE order_no = $1",
    [orderNo, outcome === "done"],
  );
}

/**
 * Whether a top-up stands, with at least so many micro-credits that were not refunded: to be asked first in a transaction that pays for it.
 * Who undoes it afterwards waits for that transaction. It does not wait for a refund under way, whose locks it could meet in another order.
 */
export async function stands(tx: Queryable, orderNo: string, least: bigint): Promise<boolean> {
  const { rows } = await tx.query<{ stands: boolean }>(
    `SELECT refunded_at IS NULL AND ${LEFT} >= $2 AS stands FROM reward_topups WHERE order_no = $1 FOR KEY SHARE`,
    [orderNo, least],
  );
  return rows[0]?.stands === true;
}

/** First key of the two-part advisory lock "it is being decided what becomes of this person's refunded top-ups". */
const REFUNDS_LOCK = 7_266_012;

/** Lets decisions about refunded top-ups of one person go one after the other: each locks its own and looks for another that stands. */
export async function lockTopUpsOf(tx: Queryable, userId: string): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock($1, hashtext($2))", [REFUNDS_LOCK, userId]);
}

/** Locks a refunded top-up whose rewards are to be undone, when all payments for it under way have ended. False when somebody else has undone it. */
export async function lockRefunded(tx: Queryable, orderNo: string): Promise<boolean> {
  const { rowCount } = await tx.query(`SELECT FROM reward_topups WHERE order_no = $1 AND ${REFUNDED} FOR UPDATE`, [orderNo]);
  return rowCount === 1;
}

/** It is decided what becomes of the rewards of a refunded top-up. */
export async function markReversed(tx: Queryable, orderNo: string): Promise<void> {
  await tx.query("UPDATE reward_topups SET reversed_at = now() WHERE order_no = $1", [orderNo]);
}

/** What top-ups of a person are asked for: at least so many micro-credits, within a time. */
export interface Wanted {
  userId: string;
  least: bigint;
  from?: Date;
  to?: Date;
}

/** The first top-up of that kind which stands, kept from being undone until the transaction ends. */
export async function standingTopUp(tx: Queryable, { userId, least, from, to }: Wanted): Promise<string | undefined> {
  const { rows } = await tx.query<{ order_no: string }>(
    `SELECT order_no FROM reward_topups WHERE user_id = $1 AND ${LEFT} >= $2 AND refunded_at IS NULL
       AND ($3::timestamptz IS NULL OR completed_at >= $3) AND ($4::timestamptz IS NULL OR completed_at < $4)
     ORDER BY completed_at LIMIT 1 FOR KEY SHARE`,
    [userId, least, from ?? null, to ?? null],
  );
  return rows[0]?.order_no;
}

/** The largest top-up of a person in a time, without what was refunded, in micro-credits; 0 without one. */
export async function largestTopUp(db: Queryable, userId: string, from: Date, to: Date): Promise<bigint> {
  const { rows } = await db.query<{ most: bigint | null }>(
    `SELECT max(${LEFT}) AS most FROM reward_topups
     WHERE user_id = $1 AND completed_at >= $2 AND completed_at < $3 AND refunded_at IS NULL`,
    [userId, from, to],
  );
  return rows[0]?.most ?? 0n;
}
