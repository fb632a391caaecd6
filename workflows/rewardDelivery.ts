import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { RewardActivities } from "../activities/rewards.ts";
import { HOUSEKEEPING } from "./timeouts.ts";

const { deliverRewards } = proxyActivities<RewardActivities>(HOUSEKEEPING);

/** Pays rewards of top-ups and referrals that could not be paid when they were earned, and takes back those of refunded top-ups. */
export async function rewardDelivery(): Promise<{ topUps: number; referrals: number; reversals: number; failed: number }> {
  const result = await deliverRewards();
  const { topUps, referrals, reversals, failed } = result;
  setCurrentDetails(
    `rewards of ${topUps} top-ups and ${referrals} referrals paid, ${reversals} of refunded ones looked at, ${failed} failed`,
  );
  return result;
}
