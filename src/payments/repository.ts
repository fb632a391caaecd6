import type { Queryable } from "../platform/postgres.ts";
import type { FlagKind, Order, OrderStatus } from "./order.ts";

/** SQL of top-up orders, payments and flags. */

export type NewOrder = Pick<
  Order,
  | "order_no"
  | "user_id"
  | "wallet_id"
  | "provider"
  | "merchant"
  | "channel"
  | "amount"
  | "currency"
  | "rate"
  | "base_credits"
  | "bonus_credits"
  | "client_ip"
> & { requestKey: string | null; ttlMs: number };

/** Throws a unique violation on `topup_orders_pkey` or `topup_orders_request`. */
export async function insertOrder(db: Queryable, order: NewOrder): Promise<Order> {
  const { rows } = await db.query<Order>(
    `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, bonus_credits,
       client_ip, request_key, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + make_interval(secs => $14::float8 / 1000)) RETURNING *`,
    [
      order.order_no,
      order.user_id,
      order.wallet_id,
      order.provider,
      order.merchant,
      order.channel,
      order.amount,
      order.currency,
      order.rate,
      order.base_credits,
      order.bonus_credits,
      order.client_ip,
      order.requestKey,
      order.ttlMs,
    ],
  );
  return rows[0]!;
}

export async function findOrder(db: Queryable, orderNo: string): Promise<Order | undefined> {
  const { rows } = await db.query<Order>("SELECT * FROM topup_orders WHERE order_no = $1", [orderNo]);
  return rows[0];
}

/** The order, locked until the transaction ends. */
export async function lockOrder(tx: Queryable, orderNo: string): Promise<Order | undefined> {
  const { rows } = await tx.query<Order>("SELECT * FROM topup_orders WHERE order_no = $1 FOR UPDATE", [orderNo]);
  return rows[0];
}

export async function findByRequestKey(db: Queryable, userId: string, requestKey: string): Promise<Order | undefined> {
  const { rows } = await db.query<Order>("SELECT * FROM topup_orders WHERE user_id = $1 AND request_key = $2", [userId, requestKey]);
  return rows[0];
}

export async function countOpen(db: Queryable, userId: string): Promise<number> {
  const { rows } = await db.query<{ open: bigint }>(
    "SELECT count(*) AS open FROM topup_orders WHERE user_id = $1 AND status IN ('pending', 'paid')",
    [userId],
  );
  return Number(rows[0]!.open);
}

/** A person's orders, newest first. */
export async function listOrders(
  db: Queryable,
  filter: { userId: string; status?: OrderStatus | undefined; page: number; pageSize: number },
): Promise<{ orders: Order[]; total: number }> {
  const where = "user_id = $1 AND ($2::text IS NULL OR status = $2)";
  const [list, count] = await Promise.all([
    db.query<Order>(`SELECT * FROM topup_orders WHERE ${where} ORDER BY bill_no DESC LIMIT $3 OFFSET $4`, [
      filter.userId,
      filter.status ?? null,
      filter.pageSize,
      (filter.page - 1) * filter.pageSize,
    ]),
    db.query<{ total: bigint }>(`SELECT count(*) AS total FROM topup_orders WHERE ${where}`, [filter.userId, filter.status ?? null]),
  ]);
  return { orders: list.rows, total: Number(count.rows[0]!.total) };
}

/** Stores the payment made at the provider, unless one is stored already. Returns the order as it is then. */
export async function storePayment(
  db: Queryable,
  orderNo: string,
  payment: { payUrl: string; qrCode: string | null },
): Promise<Order | undefined> {
  await db.query("UPDATE topup_orders SET pay_url = $2, qr_code = $3, updated_at = now() WHERE order_no = $1 AND pay_url IS NULL", [
    orderNo,
    payment.payUrl,
    payment.qrCode,
  ]);
  return findOrder(db, orderNo);
}

/** Closes a pending order. False when it is not pending (any more). */
export async function closePending(db: Queryable, orderNo: string, as: "expired" | "cancelled" | "failed"): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE topup_orders SET status = $2, closed_at = now(), updated_at = now(),
       request_key = CASE WHEN $2 = 'failed' THEN NULL ELSE request_key END
     WHERE order_no = $1 AND status = 'pending'`,
    [orderNo, as],
  );
  return rowCount === 1;
}

/** Marks an order as paid at the provider or, when a query contradicts the callback, as not. */
export async function markPaid(db: Queryable, orderNo: string, paid: boolean): Promise<void> {
  const [from, to] = paid ? ["pending", "paid"] : ["paid", "pending"];
  await db.query("UPDATE topup_orders SET status = $3, updated_at = now() WHERE order_no = $1 AND status = $2", [orderNo, from, to]);
}

export async function completeOrder(tx: Queryable, orderNo: string, payment: { tradeNo: string; late: boolean }): Promise<void> {
  await tx.query(
    `UPDATE topup_orders SET status = 'completed', trade_no = $2, late = $3, paid_at = coalesce(paid_at, now()), completed_at = now(),
       updated_at = now() WHERE order_no = $1`,
    [orderNo, payment.tradeNo, payment.late],
  );
}

/** Records a payment once by its trade number. Returns the order it belongs to, which is another one when the number was used before. */
export async function recordTrade(
  tx: Queryable,
  trade: { provider: string; merchant: string; tradeNo: string; orderNo: string; amount: bigint; reportedBy: string; outcome: string },
): Promise<{ orderNo: string }> {
  await tx.query(
    `INSERT INTO topup_trades (provider, merchant, trade_no, order_no, amount, reported_by, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (provider, merchant, trade_no) DO UPDATE SET outcome = excluded.outcome, amount = excluded.amount
       WHERE topup_trades.order_no = excluded.order_no AND topup_trades.outcome = 'wrong_amount'`,
    [trade.provider, trade.merchant, trade.tradeNo, trade.orderNo, trade.amount, trade.reportedBy, trade.outcome],
  );
  return { orderNo: (await ownerOfTrade(tx, trade)) ?? trade.orderNo };
}

export async function ownerOfTrade(
  db: Queryable,
  trade: { provider: string; merchant: string; tradeNo: string },
): Promise<string | undefined> {
  const { rows } = await db.query<{ order_no: string }>(
    "SELECT order_no FROM topup_trades WHERE provider = $1 AND merchant = $2 AND trade_no = $3",
    [trade.provider, trade.merchant, trade.tradeNo],
  );
  return rows[0]?.order_no;
}

/** Flags an order for an operator, once per kind and subject. True when the flag is new. */
export async function flagOrder(
  db: Queryable,
  flag: { orderNo: string; kind: FlagKind; subject: string; details?: Record<string, string> },
): Promise<boolean> {
  const { rowCount } = await db.query(
    "INSERT INTO topup_flags (order_no, kind, subject, details) VALUES ($1, $2, $3, $4) ON CONFLICT (order_no, kind, subject) DO NOTHING",
    [flag.orderNo, flag.kind, flag.subject, JSON.stringify(flag.details ?? {})],
  );
  return rowCount === 1;
}

/** Kinds of open flags by order. */
export async function flagsOf(db: Queryable, orderNos: string[]): Promise<Map<string, FlagKind[]>> {
  const { rows } = await db.query<{ order_no: string; kinds: FlagKind[] }>(
    `SELECT order_no, array_agg(DISTINCT kind ORDER BY kind) AS kinds FROM topup_flags
     WHERE order_no = ANY($1) AND resolved_at IS NULL GROUP BY order_no`,
    [orderNos],
  );
  return new Map(rows.map((row) => [row.order_no, row.kinds]));
}

/** Open orders whose workflow seems never to have begun, or to be gone: without a payment after `startMs`, or open long after their time. */
export async function findStranded(db: Queryable, options: { startMs: number; overdueMs: number; limit: number }): Promise<Order[]> {
  const { rows } = await db.query<Order>(
    `SELECT * FROM topup_orders WHERE status IN ('pending', 'paid')
       AND ((pay_url IS NULL AND created_at < now() - make_interval(secs => $1::float8 / 1000))
         OR expires_at < now() - make_interval(secs => $2::float8 / 1000))
     ORDER BY expires_at LIMIT $3`,
    [options.startMs, options.overdueMs, options.limit],
  );
  return rows;
}
