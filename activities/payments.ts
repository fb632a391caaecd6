import type { TopUpSteps } from "../src/payments/index.ts";

/** What the activities of payments need. */
export interface PaymentServices {
  topUpSteps: TopUpSteps;
}

/** The steps of a top-up as activities; each is idempotent by the order's number. */
export function createPaymentActivities({ topUpSteps }: PaymentServices) {
  return {
    /** Makes the payment at the provider, or answers the one made before. */
    createPayment: topUpSteps.createPayment,
    /** Asks the provider what became of an order. */
    queryPayment: topUpSteps.queryPayment,
    /** Credits a reported payment; asks the provider first where a callback is not enough. */
    creditTopUp: topUpSteps.creditTopUp,
    /** Closes an order that was not paid. */
    closeTopUp: topUpSteps.closeTopUp,
    /** Mails the receipt, once. */
    sendReceipt: topUpSteps.sendReceipt,
    /** Tells workflows about stored callbacks they have not heard of. */
    deliverCallbacks: topUpSteps.deliverCallbacks,
  };
}

export type PaymentActivities = ReturnType<typeof createPaymentActivities>;
