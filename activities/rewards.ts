import { Context } from "@temporalio/activity";
import type { Delivered, TopUpRewards } from "../src/rewards/index.ts";

/** What the activities of rewards need. */
export interface RewardServices {
  topUps: Pick<TopUpRewards, "deliver">;
}

/** Rewards as activities; each is idempotent and safe to run twice at once. */
export function createRewardActivities({ topUps }: RewardServices) {
  return {
    /** Pays what waits to be paid. */
    deliverRewards: (): Promise<Delivered> => {
      const context = Context.current();
      return topUps.deliver((done) => context.heartbeat(done));
    },
  };
}

export type RewardActivities = ReturnType<typeof createRewardActivities>;
