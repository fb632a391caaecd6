/** A top-up order as the database holds it. Money in minor units, credits in micro-credits. */
export interface Order {
  order_no: string;
  bill_no: bigint;
  user_id: string;
  wallet_id: bigint;
  provider: string;
  merchant: string;
  channel: string;
  amount: bigint;
  currency: string;
  rate: bigint;
  base_credits: bigint;
  bonus_credits: bigint;
  status: OrderStatus;
  client_ip: string | null;
  pay_url: string | null;
  qr_code: string | null;
  trade_no: string | null;
  late: boolean;
  created_at: Date;
  updated_at: Date;
  expires_at: Date;
  closed_at: Date | null;
  paid_at: Date | null;
  completed_at: Date | null;
  receipt_at: Date | null;
}

export const ORDER_STATUSES = ["pending", "paid", "completed", "expired", "cancelled", "failed", "refunded"] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

/** A payment that a provider reported, by a verified callback or as the answer to a query. */
export interface PaymentReport {
  tradeNo: string;
  amount: bigint;
  reportedBy: "callback" | "query";
}

export type FlagKind = "late" | "paid_after_cancel" | "wrong_amount" | "paid_twice" | "trade_of_another_order" | "not_confirmed";

/** What a report means for an order, before anything is written. */
export type Verdict =
  | { kind: "credit"; late: boolean; flags: FlagKind[] }
  | { kind: "already_credited" }
  | { kind: "wrong_amount" }
  | { kind: "second_payment" };

/**
 * The rules of a payment report, as a pure function. The order's state decides, not the number of reports: one trade number is credited
 * once, a second one is a second payment, another sum is nobody's credit, and money for a closed order is never left uncredited.
 */
export function judge(order: Pick<Order, "amount" | "status" | "trade_no">, report: Pick<PaymentReport, "amount" | "tradeNo">): Verdict {
  if (order.trade_no === report.tradeNo) return { kind: "already_credited" };
  if (order.trade_no !== null) return { kind: "second_payment" };
  if (report.amount !== order.amount) return { kind: "wrong_amount" };
  const late = order.status === "expired" || order.status === "cancelled" || order.status === "failed";
  const flags: FlagKind[] = order.status === "cancelled" ? ["late", "paid_after_cancel"] : late ? ["late"] : [];
  return { kind: "credit", late, flags };
}

/**
 * True when a callback must be confirmed by a query before it is believed: from `above` on. A smaller payment whose signature, merchant and
 * amount are right is believed also for an order that was closed meanwhile: it is credited and flagged, so that no paid money is left lying.
 */
export function needsConfirmation(order: Pick<Order, "amount">, report: Pick<PaymentReport, "reportedBy">, above: bigint): boolean {
  return report.reportedBy === "callback" && order.amount >= above;
}
