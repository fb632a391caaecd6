import { z } from "zod";
import { created, ok, rawRoute, route, type Route, type RouteInput } from "../http/route.ts";
import { formatCredits } from "../platform/credits.ts";
import { formatDecimal } from "../platform/decimal.ts";
import type { TemporalLink } from "../platform/temporal.ts";
import { formatMoney } from "./money.ts";
import { notifyHandler } from "./notifyRoute.ts";
import type { FlaggedOrder } from "./orders.ts";
import { resultPage } from "./resultPage.ts";
import { noBody, noticeParams, optionsView, orderBody, orderPage, orderParams, orderQuery, orderView } from "./schema.ts";
import type { Payments } from "./service.ts";
import { workflowIdOf } from "./workflowLink.ts";

/** Yuan offered as buttons. */
const PRESETS = [50n, 100n, 150n, 200n, 300n, 500n, 1000n].map((yuan) => yuan * 100n);

/** Top-up options, orders, providers' callbacks and the page buyers come back to. */
export function paymentRoutes(payments: Payments, temporal: Pick<TemporalLink, "workflowUrl">): Route[] {
  const { orders, settings, providers } = payments;

  function view(order: FlaggedOrder) {
    const payable = order.status === "pending";
    const workflowId = workflowIdOf(order.order_no);
    return {
      order_no: order.order_no,
      status: order.status,
      amount: formatMoney(order.amount),
      currency: order.currency,
      method: order.provider,
      channel: order.channel,
      credits: formatCredits(order.base_credits + order.bonus_credits),
      base_credits: formatCredits(order.base_credits),
      bonus_credits: formatCredits(order.bonus_credits),
      pay_url: payable ? order.pay_url : null,
      qr_code: payable ? order.qr_code : null,
      late: order.late,
      flags: order.flags,
      created_at: order.created_at.toISOString(),
      expires_at: order.expires_at.toISOString(),
      paid_at: order.paid_at?.toISOString() ?? null,
      workflow_id: workflowId,
      workflow_url: temporal.workflowUrl(workflowId),
    };
  }

  async function create(input: RouteInput<z.output<typeof orderBody>, undefined, undefined, "verified">) {
    const { body, principal, ip, idempotencyKey } = input;
    const { userId, walletId } = principal;
    return created(view(await orders.create({ ...body, userId, walletId, clientIp: ip, requestKey: idempotencyKey })), "Order created");
  }

  const creation = (path: string, alias?: true) =>
    route({
      method: "post",
      path,
      summary: "Make a top-up order",
      description:
        "When it cannot be opened right now the answer is 503 and the order is closed as failed: nothing was charged, try again.",
      tag: "Top-up",
      access: "verified",
      ...(alias ? { alias } : {}),
      idempotent: true,
      body: orderBody,
      responses: { 201: orderView },
      errors: ["rate_limited"],
      handler: create,
    });

  const notice = {
    path: "/api/payments/:provider/notify",
    tag: "Payment callbacks",
    access: "none",
    params: noticeParams,
    produces: "text/plain",
    responses: {
      200: z.literal("success"),
      400: z.literal("fail"),
      404: z.literal("fail"),
      413: z.literal("fail"),
      503: z.literal("fail"),
    },
    handler: notifyHandler(payments),
  } as const;

  return [
    route({
      method: "get",
      path: "/api/topup/options",
      summary: "What can be bought and how it can be paid",
      tag: "Top-up",
      access: "user",
      responses: { 200: optionsView },
      handler: async () =>
        ok({
          currency: "CNY",
          presets: PRESETS.filter((amount) => amount >= settings.min && amount <= settings.max).map(formatMoney),
          min: formatMoney(settings.min),
          max: formatMoney(settings.max),
          rate: formatCredits(settings.rate),
          methods: [...providers.values()].map(({ name, channels, currency }) => ({ method: name, channels, currency })),
          bonus_tiers: settings.tiers.map((tier) => ({ from: formatMoney(tier.from), percent: formatDecimal(tier.basisPoints, 2) })),
        }),
    }),
    creation("/api/topup/orders"),
    creation("/api/user/topup", true),
    route({
      method: "get",
      path: "/api/topup/orders",
      summary: "My top-up orders, newest first",
      tag: "Top-up",
      access: "verified",
      query: orderQuery,
      responses: { 200: orderPage },
      handler: async ({ principal, query: { page, page_size, status } }) => {
        const { orders: items, total } = await orders.list({ userId: principal.userId, status, page, pageSize: page_size });
        return ok({ items: items.map(view), total, page, page_size });
      },
    }),
    route({
      method: "get",
      path: "/api/topup/orders/:order_no",
      summary: "One of my top-up orders",
      tag: "Top-up",
      access: "verified",
      params: orderParams,
      responses: { 200: orderView },
      handler: async ({ principal, params }) => ok(view(await orders.get(principal.userId, params.order_no))),
    }),
    route({
      method: "post",
      path: "/api/topup/orders/:order_no/cancel",
      summary: "Cancel an order that is not paid",
      description: "A payment that arrives all the same is credited.",
      tag: "Top-up",
      access: "verified",
      params: orderParams,
      body: noBody,
      responses: { 200: orderView },
      errors: ["invalid_state"],
      handler: async ({ principal, params }) => ok(view(await orders.cancel(principal.userId, params.order_no)), "Order cancelled"),
    }),
    rawRoute({ ...notice, method: "get", summary: "Callback of a payment provider" }),
    rawRoute({ ...notice, method: "post", summary: "Callback of a payment provider", consumes: "application/x-www-form-urlencoded" }),
    rawRoute({
      method: "get",
      path: "/topup/result",
      summary: "The page a buyer comes back to; it shows the order's state and changes nothing",
      tag: "Top-up",
      access: "none",
      produces: "text/html",
      query: z.object({ out_trade_no: z.string().optional() }),
      responses: { 200: z.string(), 404: z.string() },
      handler: resultPage(payments.pool),
    }),
  ];
}
