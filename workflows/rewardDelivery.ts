import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { RewardActivities } from "../activities/rewards.ts";
import { HOUSEKEEPING } from "./timeouts.ts";

const { deliverRewards } = proxyActivities<RewardActivities>(HOUSEKEEPING);

/** Pays rewards of top-ups and referrals that could not be paid when they were earned. */
export async function rewardDelivery(): Promise<{ topUps: number; referrals: number; failed: number }> {
  const result = await deliverRewards();
  setCurrentDetails(`rewards of ${result.topUps} top-ups and ${result.referrals} referrals paid, ${result.failed} failed`);
  return result;
}
