import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { PaymentActivities } from "../activities/payments.ts";
import { DELIVER_CALLBACKS } from "./timeouts.ts";

const { deliverCallbacks } = proxyActivities<PaymentActivities>(DELIVER_CALLBACKS);

/** Tells orders' workflows about stored callbacks that could not be delivered when they came, and starts workflows that open orders lack. */
export async function callbackDelivery(): Promise<{ delivered: number; restarted: number }> {
  const result = await deliverCallbacks();
  setCurrentDetails(`${result.delivered} callbacks delivered, ${result.restarted} orders taken up again`);
  return result;
}
