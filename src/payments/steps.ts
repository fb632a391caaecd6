import type { Credited, Payable, Report, Status } from "../../workflows/topUpState.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import { alert } from "./alert.ts";
import { lastPaidCallback } from "./callbacks.ts";
import type { Delivery } from "./delivery.ts";
import { formatMoney } from "./money.ts";
import type { PaymentMetrics } from "./metrics.ts";
import { needsConfirmation, type Order, type PaymentReport } from "./order.ts";
import type { PaymentProvider } from "./providers/types.ts";
import type { SendReceipt } from "./receipt.ts";
import { closePending, findOrder, flagOrder, markPaid, storePayment } from "./repository.ts";
import type { SettlePayment } from "./settle.ts";

/** What the workflow of a top-up has done for it. Inputs and answers are plain JSON and hold nothing secret. */
export interface TopUpSteps {
  createPayment(input: { orderNo: string }): Promise<Payable>;
  queryPayment(input: { orderNo: string }): Promise<{ report: Report | null }>;
  creditTopUp(input: { orderNo: string; report: Report }): Promise<Credited>;
  closeTopUp(input: { orderNo: string; as: "expired" | "cancelled" }): Promise<{ status: Status; report: Report | null }>;
  sendReceipt(input: { orderNo: string }): Promise<void>;
  deliverCallbacks(): Promise<{ delivered: number; restarted: number }>;
}

export interface StepDeps {
  pool: Pool;
  log: Logger;
  metrics: PaymentMetrics;
  providers: ReadonlyMap<string, PaymentProvider>;
  settlePayment: SettlePayment;
  receipt: SendReceipt;
  delivery: Delivery;
  /** From this amount on (minor units) a callback is confirmed by a query. */
  queryAbove: bigint;
}

/** The order is not there: nothing a retry could change. */
class OrderMissing extends Error {
  constructor(orderNo: string) {
    super(`there is no order ${orderNo}`);
    this.name = "OrderMissing";
  }
}

export const reportToJson = (report: PaymentReport): Report => ({ ...report, amount: report.amount.toString() });
const reportFromJson = (report: Report): PaymentReport => ({ ...report, amount: BigInt(report.amount) });

export function createTopUpSteps(deps: StepDeps): TopUpSteps {
  const { pool, log, metrics, settlePayment } = deps;

  async function load(orderNo: string): Promise<Order> {
    const order = await findOrder(pool, orderNo);
    if (!order) throw new OrderMissing(orderNo);
    return order;
  }

  /** The order's own provider and merchant; undefined when it is switched off or configured for another merchant now. */
  function providerOf(order: Order): PaymentProvider | undefined {
    const provider = deps.providers.get(order.provider);
    return provider?.merchant === order.merchant ? provider : undefined;
  }

  function payableOf(order: Order): Payable {
    const about = `${formatMoney(order.amount)} ${order.currency} by ${order.provider} (${order.channel})`;
    return { status: order.status, payable: order.pay_url !== null, about };
  }

  async function ask(order: Order): Promise<PaymentReport | undefined> {
    const provider = providerOf(order);
    if (!provider) throw new Error(`${order.provider} is not configured for the merchant of this order`);
    const result = await provider.query(order.order_no);
    return result.kind === "paid" ? { tradeNo: result.tradeNo, amount: result.amount, reportedBy: "query" } : undefined;
  }

  /** What the order is worth after a report that credited nothing: it can be paid again, or stays closed. */
  async function reopened(order: Order): Promise<Order> {
    await markPaid(pool, order.order_no, false);
    return load(order.order_no);
  }

  async function notConfirmed(order: Order, report: PaymentReport): Promise<Credited> {
    const isNew = await flagOrder(pool, { orderNo: order.order_no, kind: "not_confirmed", subject: report.tradeNo });
    if (isNew) {
      metrics.flagged("not_confirmed");
      alert(log, { kind: "topup_not_confirmed", orderNo: order.order_no, trade_no: report.tradeNo });
    }
    return { outcome: "not_confirmed", status: (await reopened(order)).status, late: order.late };
  }

  return {
    async createPayment({ orderNo }) {
      const order = await load(orderNo);
      if (order.status !== "pending" || order.pay_url !== null) return payableOf(order);
      const provider = providerOf(order);
      if (!provider) {
        if (await closePending(pool, orderNo, "failed")) metrics.order(order, "failed");
        alert(log, { kind: "provider_not_configured", orderNo, provider: order.provider });
        return payableOf(await load(orderNo));
      }
      const { channel, amount } = order;
      const payment = await provider.create({ orderNo, channel, amount, clientIp: order.client_ip ?? "127.0.0.1" });
      if (payment.problem)
        log.warn(
          { order_no: orderNo, provider: provider.name, problem: payment.problem },
          "the payment page is used instead of the provider's API",
        );
      return payableOf((await storePayment(pool, orderNo, payment)) ?? order);
    },

    async queryPayment({ orderNo }) {
      const report = await ask(await load(orderNo));
      return { report: report ? reportToJson(report) : null };
    },

    async creditTopUp({ orderNo, report: json }) {
      const report = reportFromJson(json);
      const order = await load(orderNo);
      if (order.trade_no === null && needsConfirmation(order, report, deps.queryAbove)) {
        const confirmed = await ask(order);
        if (!confirmed) return notConfirmed(order, report);
        // The provider's own word first; a callback about another payment is then a second one.
        const settled = await settlePayment(orderNo, confirmed);
        if (confirmed.tradeNo === report.tradeNo) return settled.outcome === "credited" ? settled : afterNoCredit(order, settled);
      }
      const settled = await settlePayment(orderNo, report);
      return afterNoCredit(order, settled);
    },

    async closeTopUp({ orderNo, as }) {
      const closed = await closePending(pool, orderNo, as);
      const order = await load(orderNo);
      if (closed) metrics.order(order, as);
      const { status } = order;
      const callback = status === "paid" ? await lastPaidCallback(pool, orderNo) : undefined;
      const report = callback && reportToJson({ tradeNo: callback.trade_no, amount: callback.amount, reportedBy: "callback" });
      return { status, report: report ?? null };
    },

    async sendReceipt({ orderNo }) {
      await deps.receipt(await load(orderNo));
    },

    deliverCallbacks: deps.delivery,
  };

  async function afterNoCredit(order: Order, settled: Credited): Promise<Credited> {
    if (settled.outcome !== "wrong_amount" && settled.outcome !== "trade_of_another_order") return settled;
    return { ...settled, status: (await reopened(order)).status };
  }
}
