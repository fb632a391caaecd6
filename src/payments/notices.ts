import type { Logger } from "../platform/logger.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { alert } from "./alert.ts";
import { markDelivered, storeCallback, storeRefusal, type StoredCallback } from "./callbacks.ts";
import { deliverCallback } from "./delivery.ts";
import type { PaymentMetrics } from "./metrics.ts";
import { formatMoney } from "./money.ts";
import type { Order } from "./order.ts";
import type { Notice, NoticeResult, PaymentProvider, RawNotice, RefusalKind } from "./providers/types.ts";
import { findOrder, flagOrder, lockOrder, markPaid, ownerOfTrade } from "./repository.ts";
import type { WorkflowLink } from "./workflowLink.ts";

export interface NoticeDeps {
  pool: Pool;
  log: Logger;
  workflows: WorkflowLink;
  metrics: PaymentMetrics;
}

/** What became of a callback. */
export type Reception = { kind: "taken" } | { kind: "refused"; reason: RefusalKind };

/**
 * Takes callbacks: verified by the provider's own rules, checked against the order, stored, told to the workflow, acknowledged, in this
 * order. A refused one is stored, counted and alerted, and changes nothing. Throws when Postgres is away: such a one is not acknowledged.
 */
export interface Notices {
  receive(provider: PaymentProvider, request: RawNotice, clientIp: string): Promise<Reception>;
  refuse(provider: PaymentProvider, reason: RefusalKind, raw: Buffer, clientIp: string, orderNo?: string): Promise<Reception>;
}

export function createNotices(deps: NoticeDeps): Notices {
  const { pool, log, workflows, metrics } = deps;

  async function refuse(
    provider: PaymentProvider,
    reason: RefusalKind,
    raw: Buffer,
    clientIp: string,
    orderNo?: string,
  ): Promise<Reception> {
    metrics.callback(provider.name, reason);
    const times = await storeRefusal(pool, { provider: provider.name, kind: reason, raw, orderNo, clientIp });
    alert(log, { kind: `callback_${reason}`, orderNo, provider: provider.name, client_ip: clientIp, times: times.toString() });
    return { kind: "refused", reason };
  }

  /** A verified callback names another sum: an operator decides, after the workflow has asked what the provider really took. */
  async function wrongAmount(order: Order, notice: Notice): Promise<void> {
    const details = {
      trade_no: notice.tradeNo,
      paid: formatMoney(notice.amount),
      ordered: formatMoney(order.amount),
      currency: order.currency,
      reported_by: "callback",
    };
    if (await flagOrder(pool, { orderNo: order.order_no, kind: "wrong_amount", subject: notice.tradeNo, details }))
      metrics.flagged("wrong_amount");
    await workflows.checkNow(order.order_no).catch(() => undefined);
  }

  /** Why the callback does not fit the order, if so. */
  async function misfit(provider: PaymentProvider, order: Order, notice: Notice): Promise<RefusalKind | undefined> {
    if (order.provider !== provider.name || order.merchant !== provider.merchant) return "order_of_another_provider";
    if (notice.currency !== order.currency) return "wrong_currency";
    if (notice.amount !== order.amount) return "wrong_amount";
    const owner = await ownerOfTrade(pool, { provider: provider.name, merchant: provider.merchant, tradeNo: notice.tradeNo });
    if (owner !== undefined && owner !== order.order_no) return "trade_of_another_order";
    return undefined;
  }

  /** Stores the callback. Answers it when its workflow is still to be told. */
  async function store(provider: PaymentProvider, notice: Notice, raw: Buffer): Promise<StoredCallback | undefined> {
    return inTransaction(pool, async (tx) => {
      const order = await lockOrder(tx, notice.orderNo);
      const stored = await storeCallback(tx, provider.name, notice, raw);
      if (!stored) return undefined;
      if (order?.trade_no === notice.tradeNo) {
        // The payment is credited: there is nothing to tell.
        await markDelivered(tx, stored.id);
        return undefined;
      }
      if (notice.kind === "paid") await markPaid(tx, notice.orderNo, true);
      return stored;
    });
  }

  function read(provider: PaymentProvider, request: RawNotice): NoticeResult {
    try {
      return provider.readNotice(request);
    } catch (error) {
      log.error({ provider: provider.name, error: (error as Error).name }, "a callback could not be read");
      return { kind: "refused", reason: "malformed" };
    }
  }

  return {
    refuse,
    async receive(provider, request, clientIp) {
      const raw = request.body.length > 0 ? request.body : Buffer.from(request.query, "latin1");
      const result = read(provider, request);
      if (result.kind === "refused") return refuse(provider, result.reason, raw, clientIp, result.orderNo);
      const { notice } = result;
      const order = await findOrder(pool, notice.orderNo);
      if (!order) return refuse(provider, "unknown_order", raw, clientIp, notice.orderNo);
      const reason = await misfit(provider, order, notice);
      if (reason) {
        const reception = await refuse(provider, reason, raw, clientIp, notice.orderNo);
        if (reason === "wrong_amount") await wrongAmount(order, notice);
        return reception;
      }
      const stored = await store(provider, notice, raw);
      metrics.callback(provider.name, stored ? "taken" : "known");
      if (stored) {
        await deliverCallback({ pool, workflows }, stored).catch((error: unknown) => {
          log.warn({ err: error, order_no: notice.orderNo }, "a stored callback is delivered later");
        });
      }
      return { kind: "taken" };
    },
  };
}
