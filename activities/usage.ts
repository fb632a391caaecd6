import { Context } from "@temporalio/activity";
import type { Drain, DrainResult, HouseKept, Housekeeping } from "../src/usage/index.ts";
import { beating } from "./beating.ts";

/** What the activities of usage need. */
export interface UsageServices {
  drain: Drain;
  housekeeping: Housekeeping;
  /** Starts the settlement workflow of every shard that has none. */
  startSettlements: () => Promise<void>;
  drainMs?: number;
  lingerMs?: number;
}

const DRAIN_MS = 10_000;
const LINGER_MS = 1_500;

/** Settlement and housekeeping as activities; each is idempotent and safe to run twice at once. */
export function createUsageActivities(services: UsageServices) {
  const { drain, housekeeping, startSettlements, drainMs = DRAIN_MS, lingerMs = LINGER_MS } = services;
  return {
    /** Settles a shard until nothing waits, for some seconds at most; ends early when the worker stops. */
    drainShard: (input: { shard: number }): Promise<DrainResult> =>
      beating((beat) => drain(input.shard, { maxMs: drainMs, lingerMs, signal: Context.current().cancellationSignal, onProgress: beat })),
    /** Releases holds whose call is gone. */
    sweepHolds: (): Promise<{ released: number }> => beating((beat) => housekeeping.sweepHolds(beat)),
    /** Partitions ahead, what is old enough to be forgotten, events of shards that are no more. */
    keepHouse: (): Promise<HouseKept> => beating(() => housekeeping.keepHouse()),
    /** Every shard has its settlement running. */
    ensureSettlement: (): Promise<void> => startSettlements(),
    /** Expires grants. */
    expireGrants: (): Promise<{ expired: number }> => beating((beat) => housekeeping.expireGrants(beat)),
  };
}

export type UsageActivities = ReturnType<typeof createUsageActivities>;
