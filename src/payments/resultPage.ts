import type { Request, Response } from "express";
import type { Pool } from "../platform/postgres.ts";
import { formatMoney } from "./money.ts";
import type { Order, OrderStatus } from "./order.ts";
import { ORDER_NO } from "./orderNo.ts";
import { findOrder } from "./repository.ts";

type Locale = "en" | "zh-CN";
type Shown = OrderStatus | "unknown";

const TEXTS: Record<Locale, Record<Shown, string> & { title: string }> = {
  en: {
    title: "Top-up",
    pending: "Waiting for your payment. This page looks again by itself.",
    paid: "Your payment has arrived and is being credited.",
    completed: "Done. Your credits are there.",
    expired: "This order has expired. If you have paid it, it is credited as soon as we hear of it.",
    cancelled: "This order was cancelled.",
    failed: "This order could not be opened. Nothing was charged.",
    refunded: "This order was refunded.",
    unknown: "We do not know this order.",
  },
  "zh-CN": {
    title: "充值",
    pending: "正在等待付款，本页会自动刷新。",
    paid: "已收到付款，正在入账。",
    completed: "充值成功，点数已到账。",
    expired: "订单已过期。如已付款，收到通知后会自动入账。",
    cancelled: "订单已取消。",
    failed: "订单未能创建，没有扣款。",
    refunded: "订单已退款。",
    unknown: "没有找到该订单。",
  },
};

function page(locale: Locale, order: Order | undefined): string {
  const texts = TEXTS[locale];
  const status = order?.status ?? "unknown";
  const again = status === "pending" || status === "paid" ? '<meta http-equiv="refresh" content="2">' : "";
  // Order numbers, amounts and currencies hold no characters that mean anything in HTML.
  const what = order ? `<p>${order.order_no} · ${formatMoney(order.amount)} ${order.currency}</p>` : "";
  return `<!doctype html><html lang="${locale}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">${again}
<title>${texts.title}</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:4rem auto;padding:0 1rem}</style></head>
<body><h1>${texts.title}</h1><p role="status" data-status="${status}">${texts[status]}</p>${what}</body></html>`;
}

/**
 * Where the provider sends the buyer back to. It shows what we know about the order and nothing else: its parameters come from the
 * buyer's browser and are not believed. Order numbers cannot be guessed; the page says no more than state and amount.
 */
export function resultPage(pool: Pool) {
  return async (req: Request, res: Response): Promise<void> => {
    const orderNo = req.query["out_trade_no"];
    const order = typeof orderNo === "string" && ORDER_NO.test(orderNo) ? await findOrder(pool, orderNo) : undefined;
    const locale: Locale = req.acceptsLanguages("en", "zh-CN", "zh") === "en" ? "en" : req.acceptsLanguages("zh-CN", "zh") ? "zh-CN" : "en";
    res
      .status(order ? 200 : 404)
      .set("cache-control", "no-store")
      .set("referrer-policy", "no-referrer")
      .type("html")
      .send(page(locale, order));
  };
}
