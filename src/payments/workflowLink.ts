import {
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
} from "@temporalio/client";
import { defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import type { topUp } from "../../workflows/topUp.ts";
import type { Backoff, Payable, Report, TopUpInput, TopUpResult } from "../../workflows/topUpState.ts";
import { appError } from "../platform/errors.ts";
import { formatMoney } from "./money.ts";
import type { Order } from "./order.ts";

/** How long workflows wait; shorter in tests. */
export interface TopUpTimings {
  poll: Backoff;
  latePoll: Backoff;
  /** How long after its expiry an order is watched. */
  lateWatchMs: number;
  confirmMs: number;
  queriesPerRun: number;
}

export const POLL: Backoff = { firstMs: 1_000, factor: 1.5, maxMs: 8_000 };
export const LATE_POLL: Backoff = { firstMs: 10_000, factor: 1.5, maxMs: 300_000 };
export const CONFIRM_MS = 600_000;
export const QUERIES_PER_RUN = 250;

/** How orders reach their workflows. Every method rejects while Temporal is away. */
export interface WorkflowLink {
  /** Starts the order's workflow, or joins the running one, and waits until the order can be paid. */
  open(order: Order): Promise<Payable>;
  /** Starts the order's workflow unless it runs. */
  ensure(order: Order): Promise<void>;
  /** Tells the workflow about a payment, starting it when it is not there any more. */
  paid(order: Order, report: Report): Promise<void>;
  /** Asks a running workflow to ask the provider; nothing happens when there is none. */
  checkNow(orderNo: string): Promise<void>;
  /** Asks the workflow to close the order. Undefined when it has ended; throws `invalid_state` when it refuses. */
  cancel(orderNo: string): Promise<TopUpResult | undefined>;
}

export const workflowIdOf = (orderNo: string): string => `topup-${orderNo}`;

const userIdKey = defineSearchAttributeKey("UserId", "KEYWORD");
const orderNoKey = defineSearchAttributeKey("OrderNo", "KEYWORD");
/** Opening waits for a worker and for the provider; the rest only for the server. */
const OPEN_DEADLINE_MS = 10_000;
const DEADLINE_MS = 3_000;
/** Somebody waits at a page: a server that is away is noticed sooner than a worker that is. */
const PRESENT_MS = 1_500;

export function createWorkflowLink(deps: { client: Client; taskQueue: string; timings: TopUpTimings }): WorkflowLink {
  const { client, taskQueue, timings } = deps;

  function input(order: Order): TopUpInput {
    const expiresAt = order.expires_at.getTime();
    const { lateWatchMs, ...rest } = timings;
    return { orderNo: order.order_no, userId: order.user_id, expiresAt, watchUntil: expiresAt + lateWatchMs, ...rest };
  }

  function options(order: Order) {
    return {
      workflowId: workflowIdOf(order.order_no),
      taskQueue,
      args: [input(order)] as [TopUpInput],
      typedSearchAttributes: new TypedSearchAttributes([
        { key: userIdKey, value: order.user_id },
        { key: orderNoKey, value: order.order_no },
      ]),
      staticSummary: `Top-up ${formatMoney(order.amount)} ${order.currency} by ${order.provider}`,
      staticDetails: "Signals: paid, checkNow. Updates: payable, cancel. Query: view.",
      workflowIdConflictPolicy: "USE_EXISTING" as const,
      workflowIdReusePolicy: "ALLOW_DUPLICATE" as const,
    };
  }

  const within = <T>(ms: number, work: () => Promise<T>): Promise<T> => client.withDeadline(Date.now() + ms, work).catch(rethrow);

  const present = () => client.withDeadline(Date.now() + PRESENT_MS, () => client.workflowService.getSystemInfo({}));

  return {
    async open(order) {
      await present();
      return within(OPEN_DEADLINE_MS, () =>
        client.workflow.executeUpdateWithStart<typeof topUp, Payable, []>("payable", {
          args: [],
          startWorkflowOperation: new WithStartWorkflowOperation<typeof topUp>("topUp", options(order)),
        }),
      );
    },
    ensure: async (order) => {
      await within(DEADLINE_MS, () => client.workflow.start<typeof topUp>("topUp", options(order)));
    },
    paid: async (order, report) => {
      const { workflowIdConflictPolicy: _running, ...rest } = options(order);
      await within(DEADLINE_MS, () =>
        client.workflow.signalWithStart<typeof topUp, [Report]>("topUp", { ...rest, signal: "paid", signalArgs: [report] }),
      );
    },
    async checkNow(orderNo) {
      try {
        await within(DEADLINE_MS, () => client.workflow.getHandle(workflowIdOf(orderNo)).signal("checkNow"));
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },
    async cancel(orderNo) {
      await present();
      try {
        return await within(OPEN_DEADLINE_MS, () =>
          client.workflow.getHandle(workflowIdOf(orderNo)).executeUpdate<TopUpResult, []>("cancel", { args: [] }),
        );
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        if (error instanceof WorkflowUpdateFailedError) {
          throw appError("invalid_state", {
            message: `The order cannot be cancelled: ${error.cause?.message ?? "it is over"}`,
            cause: error,
          });
        }
        throw error;
      }
    },
  };
}

/** An update that no worker took in time is an absence like that of the server. */
function rethrow(error: unknown): never {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
    throw appError("unavailable", { message: "The workflow engine is not reachable right now", retryAfter: 5, cause: error });
  }
  throw error;
}
