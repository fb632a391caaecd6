import type { Client } from "@temporalio/client";
import { createBus, type Bus } from "../activity/index.ts";
import type { Config } from "../config/index.ts";
import type { Identity } from "../identity/index.ts";
import type { Ledger } from "../ledger/index.ts";
import type { Notify } from "../notify/index.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { createDelivery } from "./delivery.ts";
import { createPaymentMetrics } from "./metrics.ts";
import { parseBonusTiers } from "./money.ts";
import { createNotices } from "./notices.ts";
import { createOrders, type OrderSettings } from "./orders.ts";
import { createEpay } from "./providers/epay.ts";
import type { PaymentProvider } from "./providers/types.ts";
import { createSendReceipt } from "./receipt.ts";
import type { Payments } from "./service.ts";
import { createSettlePayment, type RewardsOfTopUps } from "./settle.ts";
import { createTopUpSteps, type TopUpSteps } from "./steps.ts";
import { CONFIRM_MS, createWorkflowLink, LATE_POLL, POLL, QUERIES_PER_RUN, type TopUpTimings } from "./workflowLink.ts";

export { failedPaymentsSince } from "./outcomes.ts";
export { watchCallbacks } from "./metrics.ts";
export { paymentReviewRoutes } from "./reviewRoutes.ts";
export { paymentRoutes } from "./routes.ts";
export type { Payments, TopUpSteps, TopUpTimings };

export type PaymentConfig = Pick<
  Config,
  | "PUBLIC_URL"
  | "CREDITS_PER_YUAN"
  | "TOPUP_MIN"
  | "TOPUP_MAX"
  | "TOPUP_BONUS_TIERS"
  | "TOPUP_ORDER_TTL"
  | "TOPUP_LATE_WATCH"
  | "TOPUP_QUERY_ABOVE"
  | "EPAY_URL"
  | "EPAY_PID"
  | "EPAY_KEY"
  | "EPAY_TYPES"
  | "EPAY_KEY_SEPARATOR"
>;

interface Common {
  pool: Pool;
  log: Logger;
  temporal: Client;
  config: PaymentConfig;
  metrics?: Metrics;
  events?: Bus;
  taskQueue?: string;
  /** Shorter in tests. */
  timings?: Partial<TopUpTimings>;
}

/** The providers whose configuration is complete, by name. One that is not configured does not exist. */
export function createProviders(config: PaymentConfig): ReadonlyMap<string, PaymentProvider> {
  const providers = new Map<string, PaymentProvider>();
  if (config.EPAY_URL && config.EPAY_PID && config.EPAY_KEY?.trim() && config.EPAY_TYPES.length > 0) {
    const epay = createEpay({
      url: config.EPAY_URL,
      pid: config.EPAY_PID,
      key: config.EPAY_KEY,
      types: config.EPAY_TYPES,
      separator: config.EPAY_KEY_SEPARATOR,
      notifyUrl: `${config.PUBLIC_URL}/api/payments/epay/notify`,
      returnUrl: `${config.PUBLIC_URL}/topup/result`,
    });
    providers.set(epay.name, epay);
  }
  return providers;
}

function workflowsOf({ temporal, config, timings, taskQueue = "billing" }: Common) {
  const all = {
    poll: POLL,
    latePoll: LATE_POLL,
    confirmMs: CONFIRM_MS,
    queriesPerRun: QUERIES_PER_RUN,
    lateWatchMs: config.TOPUP_LATE_WATCH,
    ...timings,
  };
  return createWorkflowLink({ client: temporal, taskQueue, timings: all });
}

/** What the api needs. Throws when TOPUP_BONUS_TIERS cannot be read. */
export function createPayments(deps: Common): Payments {
  const { pool, log, config } = deps;
  const metrics = createPaymentMetrics(deps.metrics ?? createMetrics(), deps.events ?? createBus());
  const providers = createProviders(config);
  const workflows = workflowsOf(deps);
  const settings: OrderSettings = {
    rate: config.CREDITS_PER_YUAN,
    min: config.TOPUP_MIN,
    max: config.TOPUP_MAX,
    tiers: parseBonusTiers(config.TOPUP_BONUS_TIERS),
    ttlMs: config.TOPUP_ORDER_TTL,
  };
  const orders = createOrders({ pool, log, providers, workflows, settings, metrics });
  return { pool, log, orders, notices: createNotices({ pool, log, workflows, metrics }), providers, settings };
}

/** What the worker needs: the steps behind the activities. */
export function createPaymentSteps(
  deps: Common & { ledger: Ledger; notify: Notify; contact: Identity["contact"]; rewards?: RewardsOfTopUps },
): TopUpSteps {
  const { pool, log, ledger, notify, contact, config, rewards } = deps;
  const metrics = createPaymentMetrics(deps.metrics ?? createMetrics(), deps.events ?? createBus());
  return createTopUpSteps({
    pool,
    log,
    metrics,
    providers: createProviders(config),
    settlePayment: createSettlePayment({ pool, ledger, log, metrics, rewards }),
    receipt: createSendReceipt({ pool, notify, contact, publicUrl: config.PUBLIC_URL }),
    delivery: createDelivery({ pool, log, workflows: workflowsOf(deps) }),
    queryAbove: config.TOPUP_QUERY_ABOVE,
  });
}
