import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import type { PaymentActivities } from "../activities/payments.ts";
import { CLOSE_TOPUP, CREATE_PAYMENT, CREDIT_TOPUP, QUERY_PAYMENT, SEND_RECEIPT } from "./timeouts.ts";
import { TopUpProgress, type Payable, type Report, type TopUpInput, type TopUpResult } from "./topUpState.ts";

const { createPayment } = proxyActivities<PaymentActivities>(CREATE_PAYMENT);
const { queryPayment } = proxyActivities<PaymentActivities>(QUERY_PAYMENT);
const { creditTopUp } = proxyActivities<PaymentActivities>(CREDIT_TOPUP);
const { closeTopUp } = proxyActivities<PaymentActivities>(CLOSE_TOPUP);
const { sendReceipt } = proxyActivities<PaymentActivities>(SEND_RECEIPT);

/** A verified callback says that the order was paid. */
export const paid = defineSignal<[Report]>("paid");
/** Ask the provider now. */
export const checkNow = defineSignal("checkNow");
/** Answers once the order can be paid (or is closed). */
export const payable = defineUpdate<Payable>("payable");
/** Closes a pending order; answers what became of it. */
export const cancel = defineUpdate<TopUpResult>("cancel");
export const view = defineQuery<TopUpResult & { queries: number }>("view");

/**
 * A top-up from order to credit: makes the payment at the provider, waits for `paid` or asks the provider with growing pauses, closes the
 * order at its time or when cancelled, and goes on looking for a late payment. Whatever the number and order of reports, the credit
 * happens once, in the database. Started again for an order that is over, it handles what `paid` brings and ends.
 */
export async function topUp(input: TopUpInput): Promise<TopUpResult> {
  const { orderNo } = input;
  const progress = new TopUpProgress(input, Date.now());

  setHandler(paid, (report) => progress.notice(report));
  setHandler(checkNow, () => void (progress.checkAsked = true));
  setHandler(view, () => ({ ...progress.result(), queries: progress.queries }));
  setHandler(payable, async () => {
    await condition(() => progress.payment !== undefined);
    return { ...progress.payment!, status: progress.status };
  });
  setHandler(
    cancel,
    async () => {
      progress.cancelAsked = true;
      await condition(() => !progress.open);
      return progress.result();
    },
    {
      validator() {
        const problem = progress.refusesCancel();
        if (problem) throw ApplicationFailure.nonRetryable(problem, "NotCancellable");
      },
    },
  );

  /** Asks the provider; no answer means that nothing is known, and the next question comes soon. */
  async function ask(): Promise<void> {
    progress.queried(Date.now());
    try {
      const { report } = await queryPayment({ orderNo });
      if (report) progress.notice(report);
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.warn("the provider could not be asked", { orderNo });
    }
  }

  async function credit(): Promise<void> {
    const report = progress.inbox.shift()!;
    progress.crediting = true;
    progress.credited(report, await creditTopUp({ orderNo, report }), Date.now());
    progress.crediting = false;
  }

  async function close(): Promise<void> {
    await ask();
    if (progress.inbox.length > 0) return;
    const { status, report } = await closeTopUp({ orderNo, as: progress.cancelAsked ? "cancelled" : "expired" });
    progress.moveTo(status, Date.now());
    // A callback that is stored but has not come here yet.
    if (report) progress.notice(report);
  }

  progress.opened(await createPayment({ orderNo }), Date.now());
  for (;;) {
    setCurrentDetails(progress.describe());
    const step = progress.next(Date.now());
    if (step === "end") break;
    if (step === "credit") await credit();
    if (step === "close") await close();
    if (step === "query") await ask();
    if (step === "wait") {
      if ((progress.longEnough || workflowInfo().continueAsNewSuggested) && allHandlersFinished())
        await continueAsNew<typeof topUp>({ ...input, watchUntil: progress.watchUntil });
      await condition(() => progress.disturbed, progress.waitMs(Date.now()));
    }
  }
  if (progress.completed) await receipt(orderNo);
  await condition(allHandlersFinished);
  setCurrentDetails(progress.describe());
  return progress.result();
}

/** The money is there; a receipt that cannot be sent for a day changes nothing about that. */
async function receipt(orderNo: string): Promise<void> {
  try {
    await sendReceipt({ orderNo });
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.warn("the receipt could not be sent", { orderNo });
  }
}
