import type { Bus } from "../activity/index.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { countUndelivered } from "./callbacks.ts";
import { formatMoney } from "./money.ts";
import type { Order, OrderStatus } from "./order.ts";

type Counted = Pick<Order, "order_no" | "user_id" | "provider" | "channel" | "currency" | "amount">;

/** What payments count. Each copy counts what it did itself, so sums over all copies are the whole. */
export interface PaymentMetrics {
  /** An order has come to this status; `pending` when it was made. Told as an event, which is what is counted. */
  order(order: Counted, status: OrderStatus): void;
  /** What became of a callback: `taken`, `known` (it said nothing new), or why it was refused. */
  callback(provider: string, verdict: string): void;
  /** An order was flagged for an operator. */
  flagged(kind: string): void;
}

/** Declares what payments count; once per process. */
export function createPaymentMetrics(metrics: Metrics, events: Bus): PaymentMetrics {
  const orders = metrics.counters({
    name: "tollkeeper_topup_orders_total",
    help: "Top-up orders that came to a status, by provider and method.",
    labels: ["provider", "method", "status"],
  });
  const money = metrics.counters({
    name: "tollkeeper_topup_amount_total",
    help: "Money of completed top-ups in the currency's main unit.",
    labels: ["provider", "method", "currency"],
  });
  const callbacks = metrics.counters({
    name: "tollkeeper_payment_callbacks_total",
    help: "Payment callbacks by verdict: taken, known (nothing new), or why they were refused.",
    labels: ["provider", "verdict"],
  });
  const flags = metrics.counters({
    name: "tollkeeper_payment_flags_total",
    help: "Orders flagged for an operator, by kind.",
    labels: ["kind"],
  });
  events.on("topup.changed", ({ provider, method, status, amount, currency }) => {
    orders.of(provider, method, status).add();
    if (status === "completed") money.of(provider, method, currency).add(Number(amount));
  });
  return {
    order({ order_no, user_id, provider, channel, currency, amount }, status) {
      const method = channel;
      events.emit({ kind: "topup.changed", user_id, order_no, status, provider, method, amount: formatMoney(amount), currency });
    },
    callback: (provider, verdict) => callbacks.of(provider, verdict).add(),
    flagged: (kind) => flags.of(kind).add(),
  };
}

/** Callbacks whose workflow has not heard of them yet, as Postgres knows it: the same on every copy. */
export function watchCallbacks(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_payment_callbacks_waiting",
    help: "Verified callbacks that their order's workflow has not been told about.",
    read: () => countUndelivered(pool),
  });
}
