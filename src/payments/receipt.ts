import type { Identity } from "../identity/index.ts";
import type { Notify } from "../notify/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import { formatMoney } from "./money.ts";
import type { Order } from "./order.ts";

/** Mails the receipt of a completed order, once. Rejects while the mail queue is away. */
export type SendReceipt = (order: Order) => Promise<void>;

export function createSendReceipt(deps: { pool: Pool; notify: Notify; contact: Identity["contact"]; publicUrl: string }): SendReceipt {
  return async (order) => {
    if (order.receipt_at !== null || order.completed_at === null) return;
    const person = await deps.contact(order.user_id);
    if (person) {
      await deps.notify.email({
        id: `receipt:${order.order_no}`,
        to: person.email,
        locale: person.locale,
        template: "receipt",
        data: {
          name: person.name,
          order_no: order.order_no,
          amount: formatMoney(order.amount),
          currency: order.currency,
          credits: formatCredits(order.base_credits + order.bonus_credits),
          bonus: order.bonus_credits === 0n ? "" : formatCredits(order.bonus_credits),
          paid_at: order.completed_at.toISOString().replace("T", " ").slice(0, 19),
          trade_no: order.trade_no ?? "",
          url: deps.publicUrl,
        },
      });
    }
    await deps.pool.query("UPDATE topup_orders SET receipt_at = now() WHERE order_no = $1 AND receipt_at IS NULL", [order.order_no]);
  };
}
