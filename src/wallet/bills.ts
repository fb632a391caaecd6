import { formatCredits } from "../platform/credits.ts";
import { formatDecimal } from "../platform/decimal.ts";
import type { Pool } from "../platform/postgres.ts";
import type { BILL_STATUSES, BILL_TYPES, BillQuery } from "./schema.ts";

/** Reading bills: the view billing_records joins top-up orders and what the ledger charged. */

type BillType = (typeof BILL_TYPES)[number];

interface BillRow {
  id: bigint;
  type: BillType;
  amount: bigint | null;
  currency: string | null;
  credits: bigint;
  paid: bigint;
  description: string | null;
  provider: string | null;
  channel: string | null;
  order_no: string | null;
  transaction_id: string | null;
  status: (typeof BILL_STATUSES)[number];
  created_at: Date;
  updated_at: Date;
  completed_at: Date | null;
}

interface SumRow {
  type: BillType;
  month: string | null;
  count: bigint;
  /** Sums of bigint are numeric, which arrives as text. */
  amount: string | null;
  credits: string;
}

const CURRENCY = "CNY";
const MONEY_DECIMALS = 6;

/** Micro-credits in yuan at `rate` micro-credits a yuan: at least 2 decimals, at most 6, rounded half up. */
export function moneyOf(credits: bigint, rate: bigint): string {
  const scaled = (credits * 10n ** BigInt(MONEY_DECIMALS) * 2n + rate) / (rate * 2n);
  return formatDecimal(scaled, MONEY_DECIMALS, 2);
}

/** Where bills of this kind are: only orders fail or are cancelled, and only transfers are refunds. */
function sourceOf(filter: Pick<BillQuery, "type" | "status">): string {
  if (filter.type === "topup" || filter.status === "failed" || filter.status === "cancelled") return "topup_bills";
  return filter.type === "refund" ? "transfer_bills" : "billing_records";
}

export interface Bills {
  list(walletId: bigint, query: BillQuery): Promise<object>;
  /** Undefined also for somebody else's. */
  get(walletId: bigint, id: bigint): Promise<object | undefined>;
  /** Sums of what was paid, by type and by month (UTC); of consumption exactly what history shows of that time. */
  stats(walletId: bigint, range: { from?: Date | undefined; to?: Date | undefined }): Promise<object>;
}

/** `rate` (micro-credits per yuan) gives the money's worth of what was paid in credits. */
export function createBills(deps: { pool: Pool; rate: bigint }): Bills {
  const { pool, rate } = deps;

  function view(row: BillRow) {
    const credits = formatCredits(row.credits);
    return {
      id: row.id.toString(),
      type: row.type,
      amount: row.amount === null ? moneyOf(row.credits, rate) : formatDecimal(row.amount, 2, 2),
      currency: row.currency ?? CURRENCY,
      credits,
      quota_amount: credits,
      paid: formatCredits(row.paid),
      description: row.description ?? `Top-up by ${row.provider} (${row.channel})`,
      transaction_id: row.transaction_id,
      order_no: row.order_no,
      status: row.status,
      created_at: row.created_at.toISOString(),
      updated_at: row.updated_at.toISOString(),
      completed_at: row.completed_at?.toISOString() ?? null,
    };
  }

  function sumView(row: SumRow) {
    const amount = row.amount === null ? moneyOf(BigInt(row.credits), rate) : formatDecimal(BigInt(row.amount), 2, 2);
    return { type: row.type, count: Number(row.count), amount, credits: formatCredits(BigInt(row.credits)) };
  }

  const sums = (by: string) =>
    `SELECT type, ${by} AS month, count(DISTINCT bill) AS count, CASE type WHEN 'topup' THEN sum(amount)::text END AS amount,
       sum(credits)::text AS credits
     FROM bill_payments WHERE wallet_id = $1 AND type IS NOT NULL AND ($2::timestamptz IS NULL OR created_at >= $2)
       AND ($3::timestamptz IS NULL OR created_at < $3) GROUP BY type, month ORDER BY month, type`;

  return {
    async list(walletId, query) {
      const filters: [string, unknown][] = [
        ["type =", query.type],
        ["status =", query.status],
        ["created_at >=", query.from],
        ["created_at <", query.to],
      ];
      const used = filters.filter(([, value]) => value !== undefined);
      const where = ["wallet_id = $1", "type IS NOT NULL", ...used.map(([condition], index) => `${condition} $${index + 2}`)].join(" AND ");
      const values = [walletId, ...used.map(([, value]) => value)];
      const source = sourceOf(query);
      const { page, page_size } = query;
      const [list, count] = await Promise.all([
        pool.query<BillRow>(
          `SELECT * FROM ${source} WHERE ${where} ORDER BY id DESC LIMIT $${values.length + 1} OFFSET $${values.length + 2}`,
          [...values, page_size, (page - 1) * page_size],
        ),
        pool.query<{ total: bigint }>(`SELECT count(*) AS total FROM ${source} WHERE ${where}`, values),
      ]);
      return { items: list.rows.map(view), total: Number(count.rows[0]!.total), page, page_size };
    },

    async get(walletId, id) {
      const { rows } = await pool.query<BillRow>("SELECT * FROM billing_records WHERE id = $1 AND wallet_id = $2 AND type IS NOT NULL", [
        id,
        walletId,
      ]);
      return rows[0] && view(rows[0]);
    },

    async stats(walletId, { from, to }) {
      const range = [walletId, from ?? null, to ?? null];
      const [byType, byMonth] = await Promise.all([
        pool.query<SumRow>(sums("NULL::text"), range),
        pool.query<SumRow>(sums("to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM')"), range),
      ]);
      return {
        currency: CURRENCY,
        by_type: byType.rows.map(sumView),
        by_month: byMonth.rows.map((row) => ({ month: row.month, ...sumView(row) })),
      };
    },
  };
}
