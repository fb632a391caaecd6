import { appError, fieldError } from "../platform/errors.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { inTransaction, uniqueViolation, type Pool } from "../platform/postgres.ts";
import { creditsFor, formatMoney, parseMoney, type BonusTier } from "./money.ts";
import type { PaymentMetrics } from "./metrics.ts";
import type { FlagKind, Order, OrderStatus } from "./order.ts";
import { newOrderNo } from "./orderNo.ts";
import type { PaymentProvider } from "./providers/types.ts";
import { closePending, countOpen, findByRequestKey, findOrder, flagsOf, insertOrder, listOrders, type NewOrder } from "./repository.ts";
import type { WorkflowLink } from "./workflowLink.ts";

export interface OrderSettings {
  /** Micro-credits per yuan. */
  rate: bigint;
  min: bigint;
  max: bigint;
  tiers: readonly BonusTier[];
  ttlMs: number;
}

export interface OrderDeps {
  pool: Pool;
  log: Logger;
  providers: ReadonlyMap<string, PaymentProvider>;
  workflows: WorkflowLink;
  settings: OrderSettings;
  metrics: PaymentMetrics;
  clock?: Clock;
}

export interface OrderRequest {
  userId: string;
  walletId: bigint;
  amount: string;
  currency: string;
  method: string;
  channel?: string | undefined;
  clientIp: string;
  requestKey: string | undefined;
}

export type FlaggedOrder = Order & { flags: FlagKind[] };

/** Top-up orders of people. */
export interface Orders {
  /** Makes an order that can be paid. Throws `validation_failed` with the field, `rate_limited`, `unavailable`. */
  create(request: OrderRequest): Promise<FlaggedOrder>;
  /** Throws `not_found`, also for somebody else's order. */
  get(userId: string, orderNo: string): Promise<FlaggedOrder>;
  list(filter: {
    userId: string;
    status?: OrderStatus | undefined;
    page: number;
    pageSize: number;
  }): Promise<{ orders: FlaggedOrder[]; total: number }>;
  /** Throws `not_found`, or `invalid_state` when the order is not pending or turns out to be paid. */
  cancel(userId: string, orderNo: string): Promise<FlaggedOrder>;
}

/** Each open order is asked about at the provider every few seconds: nobody needs more than this. */
const MAX_OPEN = 50;

export function createOrders(deps: OrderDeps): Orders {
  const { pool, log, providers, workflows, settings, metrics, clock = systemClock } = deps;

  async function withFlags(orders: Order[]): Promise<FlaggedOrder[]> {
    const flags =
      orders.length > 0
        ? await flagsOf(
            pool,
            orders.map((order) => order.order_no),
          )
        : new Map<string, FlagKind[]>();
    return orders.map((order) => ({ ...order, flags: flags.get(order.order_no) ?? [] }));
  }

  async function mine(userId: string, orderNo: string): Promise<Order> {
    const order = await findOrder(pool, orderNo);
    if (order?.user_id !== userId) throw appError("not_found", { message: "There is no such order" });
    return order;
  }

  /** What is bought, by whose means. Every problem names its field. */
  function check(request: OrderRequest) {
    const provider = providers.get(request.method);
    if (!provider) throw fieldError("method", "is not offered");
    const channel = request.channel ?? provider.channels[0] ?? "";
    if (!provider.channels.includes(channel)) throw fieldError("channel", `must be one of ${provider.channels.join(", ")}`);
    if (request.currency !== provider.currency) throw fieldError("currency", `must be ${provider.currency}`);
    const amount = parseMoney(request.amount);
    if (amount === undefined || amount < settings.min || amount > settings.max) {
      throw fieldError("amount", `must be from ${formatMoney(settings.min)} to ${formatMoney(settings.max)}`);
    }
    return { provider, channel, amount, credits: creditsFor(amount, settings.rate, settings.tiers) };
  }

  /** One order of a person at a time, so that many at once cannot pass the cap together. */
  function insertCounted(order: NewOrder): Promise<Order> {
    return inTransaction(pool, async (tx) => {
      await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`topup ${order.user_id}`]);
      if ((await countOpen(tx, order.user_id)) >= MAX_OPEN) {
        throw appError("rate_limited", { message: "There are too many unpaid orders: pay or cancel one first", retryAfter: 60 });
      }
      return insertOrder(tx, order);
    });
  }

  async function insert(request: OrderRequest): Promise<Order> {
    const { provider, channel, amount, credits } = check(request);
    for (;;) {
      try {
        const made = await insertCounted({
          order_no: newOrderNo(clock.now()),
          user_id: request.userId,
          wallet_id: request.walletId,
          provider: provider.name,
          merchant: provider.merchant,
          channel,
          amount,
          currency: request.currency,
          rate: settings.rate,
          base_credits: credits.base,
          bonus_credits: credits.bonus,
          // Gateways want the plain form of an IPv4 address.
          client_ip: request.clientIp.replace(/^::ffff:/, "") || null,
          requestKey: request.requestKey ?? null,
          ttlMs: settings.ttlMs,
        });
        metrics.order(made, "pending");
        return made;
      } catch (error) {
        if (uniqueViolation(error) === "topup_orders_pkey") continue;
        const before =
          uniqueViolation(error) === "topup_orders_request" && (await findByRequestKey(pool, request.userId, request.requestKey ?? ""));
        if (!before) throw error;
        if (before.amount !== amount || before.provider !== provider.name || before.channel !== channel)
          throw appError("idempotency_mismatch");
        return before;
      }
    }
  }

  async function close(order: Order, as: "cancelled" | "failed"): Promise<void> {
    if (await closePending(pool, order.order_no, as)) metrics.order(order, as);
  }

  async function fresh(order: Order): Promise<FlaggedOrder> {
    return (await withFlags([(await findOrder(pool, order.order_no)) ?? order]))[0]!;
  }

  return {
    async create(request) {
      const order = await insert(request);
      if (order.status === "pending") {
        try {
          await workflows.open(order);
        } catch (error) {
          // Nobody has seen a way to pay it. Should its workflow have begun all the same, it finds the order closed and ends.
          await close(order, "failed");
          log.warn({ order_no: order.order_no }, "an order was closed because its workflow could not be started");
          throw error;
        }
      }
      const opened = await fresh(order);
      if (opened.status === "failed")
        throw appError("unavailable", { message: "This payment method is not available right now", retryAfter: 60 });
      return opened;
    },

    async get(userId, orderNo) {
      return (await withFlags([await mine(userId, orderNo)]))[0]!;
    },

    async list(filter) {
      const { orders, total } = await listOrders(pool, filter);
      return { orders: await withFlags(orders), total };
    },

    async cancel(userId, orderNo) {
      const order = await mine(userId, orderNo);
      if (order.status !== "pending") throw appError("invalid_state", { message: `The order is ${order.status}` });
      const result = await workflows.cancel(orderNo);
      // Without a workflow nothing watches the order: it was never payable.
      if (!result) await close(order, "cancelled");
      const now = await fresh(order);
      if (now.status !== "cancelled") throw appError("invalid_state", { message: `The order is ${now.status}` });
      return now;
    },
  };
}
