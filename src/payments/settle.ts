import { createBus } from "../activity/index.ts";
import type { Credit, Ledger } from "../ledger/index.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics } from "../platform/metrics.ts";
import { inTransaction, type Pool, type PoolClient } from "../platform/postgres.ts";
import { alert } from "./alert.ts";
import { createPaymentMetrics, type PaymentMetrics } from "./metrics.ts";
import { formatMoney } from "./money.ts";
import { judge, type FlagKind, type Order, type PaymentReport } from "./order.ts";
import { completeOrder, flagOrder, lockOrder, recordTrade } from "./repository.ts";

export type Settled = {
  outcome: "credited" | "already_credited" | "second_payment" | "wrong_amount" | "trade_of_another_order";
  status: Order["status"];
  late: boolean;
};

/** What other credit may follow from a top-up. */
export interface RewardsOfTopUps {
  /** Runs in the transaction that credits. */
  note(tx: PoolClient, topUp: { orderNo: string; userId: string; credits: bigint }): Promise<unknown>;
  /** Runs after it; must not reject. */
  follow(orderNo: string): Promise<void>;
}

/** Credits an order's payment. */
export type SettlePayment = (orderNo: string, report: PaymentReport) => Promise<Settled>;

/**
 * Applies a payment report in one transaction: the payment is recorded, the wallet credited and the order (which is the bill) completed
 * together or not at all. Exactly once by `topup:<order no>`, however often, from wherever and in whatever order reports come.
 */
export function createSettlePayment(deps: {
  pool: Pool;
  ledger: Ledger;
  log: Logger;
  metrics?: PaymentMetrics;
  rewards?: RewardsOfTopUps | undefined;
}): SettlePayment {
  const { pool, ledger, log, metrics = createPaymentMetrics(createMetrics(), createBus()), rewards } = deps;

  async function flag(tx: PoolClient, order: Order, kind: FlagKind, report: PaymentReport): Promise<void> {
    const details = {
      trade_no: report.tradeNo,
      paid: formatMoney(report.amount),
      ordered: formatMoney(order.amount),
      currency: order.currency,
      reported_by: report.reportedBy,
    };
    const isNew = await flagOrder(tx, { orderNo: order.order_no, kind, subject: report.tradeNo, details });
    if (!isNew) return;
    metrics.flagged(kind);
    alert(log, { kind: `topup_${kind}`, orderNo: order.order_no, ...details });
  }

  async function creditOrder(tx: PoolClient, order: Order): Promise<void> {
    const common = { walletId: order.wallet_id, reference: order.order_no };
    const purchase: Credit = {
      ...common,
      id: `topup:${order.order_no}`,
      amount: order.base_credits,
      from: `clearing:${order.provider}`,
      source: "purchase",
      type: "PURCHASE",
      description: `Top-up ${formatMoney(order.amount)} ${order.currency}`,
    };
    const bonus: Credit = {
      ...common,
      id: `topup-bonus:${order.order_no}`,
      amount: order.bonus_credits,
      // What was given, not paid for: the clearing account stays equal to the money taken.
      from: "grants:topup",
      source: "bonus",
      type: "BONUS",
      description: `Bonus for a top-up of ${formatMoney(order.amount)} ${order.currency}`,
    };
    await ledger.creditTogether(tx, bonus.amount === 0n ? [purchase] : [purchase, bonus]);
  }

  return async (orderNo, report) => {
    let credited: Order | undefined;
    const settled = await inTransaction(pool, async (tx): Promise<Settled> => {
      const order = await lockOrder(tx, orderNo);
      if (!order) throw new Error(`there is no order ${orderNo}`);
      const verdict = judge(order, report);
      const outcome = verdict.kind === "credit" || verdict.kind === "already_credited" ? "credited" : verdict.kind;
      const { provider, merchant } = order;
      const owner = await recordTrade(tx, { provider, merchant, orderNo, ...report, outcome });
      if (owner.orderNo !== orderNo) {
        await flag(tx, order, "trade_of_another_order", report);
        return { outcome: "trade_of_another_order", status: order.status, late: order.late };
      }
      switch (verdict.kind) {
        case "already_credited":
          return { outcome: "already_credited", status: order.status, late: order.late };
        case "second_payment":
          await flag(tx, order, "paid_twice", report);
          return { outcome: "second_payment", status: order.status, late: order.late };
        case "wrong_amount":
          await flag(tx, order, "wrong_amount", report);
          return { outcome: "wrong_amount", status: order.status, late: order.late };
        case "credit":
          await completeOrder(tx, orderNo, { tradeNo: report.tradeNo, late: verdict.late });
          await rewards?.note(tx, { orderNo, userId: order.user_id, credits: order.base_credits });
          for (const kind of verdict.flags) await flag(tx, order, kind, report);
          // Last, for it locks what all top-ups share.
          await creditOrder(tx, order);
          credited = order;
          return { outcome: "credited", status: "completed", late: verdict.late };
      }
    });
    // Counted once it is committed.
    if (credited) {
      metrics.order(credited, "completed");
      await rewards?.follow(orderNo);
    }
    return settled;
  };
}
