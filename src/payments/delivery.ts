import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import { findUndelivered, forgetRefusals, markDelivered, type StoredCallback } from "./callbacks.ts";
import { findOrder, findStranded } from "./repository.ts";
import type { WorkflowLink } from "./workflowLink.ts";

/** Does what was left undone while Temporal could not be reached. Idempotent. */
export type Delivery = () => Promise<{ delivered: number; restarted: number }>;

/** A callback younger than this is still in the hands of the request that brought it. */
const AFTER_MS = 5_000;
/** An order without a payment after this long lost its request; one open this long after its time lost its workflow. */
const START_MS = 30_000;
const OVERDUE_MS = 300_000;
const BATCH = 200;
const REFUSALS_KEPT_DAYS = 90;

/** Tells the order's workflow what a stored callback says. Rejects while Temporal is away. */
export async function deliverCallback(deps: { pool: Pool; workflows: WorkflowLink }, callback: StoredCallback): Promise<void> {
  const order = await findOrder(deps.pool, callback.order_no);
  if (order && callback.kind === "paid") {
    await deps.workflows.paid(order, { tradeNo: callback.trade_no, amount: callback.amount.toString(), reportedBy: "callback" });
  } else {
    await deps.workflows.checkNow(callback.order_no);
  }
  await markDelivered(deps.pool, callback.id);
}

export function createDelivery(deps: { pool: Pool; log: Logger; workflows: WorkflowLink; afterMs?: number }): Delivery {
  const { pool, log, workflows, afterMs = AFTER_MS } = deps;
  return async () => {
    const waiting = await findUndelivered(pool, { afterMs, limit: BATCH });
    for (const callback of waiting) await deliverCallback({ pool, workflows }, callback);
    const stranded = await findStranded(pool, { startMs: START_MS, overdueMs: OVERDUE_MS, limit: BATCH });
    for (const order of stranded) {
      log.warn({ order_no: order.order_no, status: order.status }, "an open order had no workflow and is taken up again");
      await workflows.ensure(order);
    }
    await forgetRefusals(pool, REFUSALS_KEPT_DAYS, BATCH);
    return { delivered: waiting.length, restarted: stranded.length };
  };
}
