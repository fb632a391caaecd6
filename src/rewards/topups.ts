import type { Queryable } from "../platform/postgres.ts";

/** A completed top-up that rewards may follow from. */
export interface TopUp {
  orderNo: string;
  userId: string;
  /** What was bought without any bonus, micro-credits. */
  credits: bigint;
  completedAt: Date;
}

interface Row {
  order_no: string;
  user_id: string;
  credits: bigint;
  completed_at: Date;
}

/** Notes a top-up in the transaction that credits it, so that what follows from it can be late but never lost. Once per order. */
export async function noteTopUp(tx: Queryable, topUp: Omit<TopUp, "completedAt">): Promise<void> {
  await tx.query(
    "INSERT INTO reward_topups (order_no, user_id, credits, completed_at) VALUES ($1, $2, $3, now()) ON CONFLICT (order_no) DO NOTHING",
    [topUp.orderNo, topUp.userId, topUp.credits],
  );
}

const topUpOf = (row: Row): TopUp => ({ orderNo: row.order_no, userId: row.user_id, credits: row.credits, completedAt: row.completed_at });

const COLUMNS = "order_no, user_id, credits, completed_at";

/** Top-ups whose rewards are not paid yet: those that failed least first, so that one that always fails holds up no other. */
export async function waitingTopUps(db: Queryable, limit: number): Promise<TopUp[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM reward_topups WHERE done_at IS NULL ORDER BY attempts, completed_at LIMIT $1`,
    [limit],
  );
  return rows.map(topUpOf);
}

export async function waitingTopUp(db: Queryable, orderNo: string): Promise<TopUp | undefined> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM reward_topups WHERE order_no = $1 AND done_at IS NULL`, [orderNo]);
  return rows[0] && topUpOf(rows[0]);
}

/** Marks a top-up as done, or counts a failed attempt. */
export async function markTopUp(db: Queryable, orderNo: string, outcome: "done" | "failed"): Promise<void> {
  await db.query(
    "UPDATE reward_topups SET attempts = attempts + 1, done_at = CASE WHEN $2 THEN coalesce(done_at, now()) ELSE done_at END WHERE order_no = $1",
    [orderNo, outcome === "done"],
  );
}

/** The largest top-up of a person in a time that was not refunded, in micro-credits; 0 without one. */
export async function largestTopUp(db: Queryable, userId: string, from: Date, to: Date): Promise<bigint> {
  const { rows } = await db.query<{ most: bigint | null }>(
    `SELECT max(credits) AS most FROM reward_topups
     WHERE user_id = $1 AND completed_at >= $2 AND completed_at < $3 AND refunded_at IS NULL`,
    [userId, from, to],
  );
  return rows[0]?.most ?? 0n;
}
