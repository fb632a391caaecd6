import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { UsageActivities } from "../activities/usage.ts";
import { HOUSEKEEPING } from "./timeouts.ts";

const { sweepHolds, keepHouse, ensureSettlement } = proxyActivities<UsageActivities>(HOUSEKEEPING);

export interface HoldSweepResult {
  released: number;
  partitionsMade: number;
  keysForgotten: number;
  holdsForgotten: number;
}

/** Frees credit whose call is gone, prepares storage for the days ahead, and sees to it that every shard has its settlement running. */
export async function holdSweep(): Promise<HoldSweepResult> {
  const { released } = await sweepHolds();
  const house = await keepHouse();
  await ensureSettlement();
  setCurrentDetails(
    `${released} holds released, ${house.partitionsMade} partitions made, ${house.keysForgotten} idempotency keys and ${house.holdsForgotten} holds forgotten`,
  );
  return { released, ...house };
}
