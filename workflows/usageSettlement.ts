import {
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  setWorkflowOptions,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import { defineSearchAttributeKey } from "@temporalio/common";
import type { UsageActivities } from "../activities/usage.ts";
import { DRAIN_SHARD } from "./timeouts.ts";

/** Input, and what one run hands to the next. */
export interface SettlementInput {
  shard: number;
  /** The slow timer behind the nudges. */
  idleMs?: number;
  /** Drains per run, after which the history begins anew. */
  maxRounds?: number;
  paused?: boolean;
  wanted?: boolean;
  settled?: number;
}

/** Answer of the `lag` query: what the last drain left. */
export interface SettlementLag {
  shard: number;
  paused: boolean;
  pending: number;
  oldestPendingAt: string | null;
  settled: number;
  setAside: number;
}

export const nudge = defineSignal("nudge");
export const pause = defineSignal("pause");
export const resume = defineSignal("resume");
/** Drain once now, also while paused. */
export const drain = defineSignal("drain");
export const lag = defineQuery<SettlementLag>("lag");

const IDLE_MS = 20_000;
const MAX_ROUNDS = 250;
const taskState = defineSearchAttributeKey("TaskState", "KEYWORD");
const { drainShard } = proxyActivities<UsageActivities>(DRAIN_SHARD);

/** Settles the calls of one shard for as long as the product runs. Woken by `nudge`, by its own slow timer, and by what it left undone. */
export async function usageSettlement(input: SettlementInput): Promise<never> {
  const { shard, idleMs = IDLE_MS, maxRounds = MAX_ROUNDS } = input;
  const state: SettlementLag = {
    shard,
    paused: input.paused ?? false,
    pending: 0,
    oldestPendingAt: null,
    settled: input.settled ?? 0,
    setAside: 0,
  };
  let wanted = input.wanted ?? true;
  let forced = false;

  const setPaused = (paused: boolean) => {
    if (state.paused === paused) return;
    state.paused = paused;
    if (!paused) wanted = true;
    upsertSearchAttributes([{ key: taskState, value: paused ? "paused" : "running" }]);
  };
  setHandler(nudge, () => void (wanted = true));
  setHandler(drain, () => void (forced = true));
  setHandler(pause, () => setPaused(true));
  setHandler(resume, () => setPaused(false));
  setHandler(lag, () => state);

  const due = () => forced || (wanted && !state.paused);
  for (let round = 0; round < maxRounds && !workflowInfo().continueAsNewSuggested;) {
    setCurrentDetails(describe(state));
    if (!due()) {
      if (state.paused) await condition(() => due() || !state.paused || workflowInfo().continueAsNewSuggested);
      else if (!(await condition(() => due() || state.paused || workflowInfo().continueAsNewSuggested, idleMs))) wanted = true;
      continue;
    }
    wanted = false;
    forced = false;
    round += 1;
    const result = await drainShard({ shard });
    state.settled += result.settled;
    state.setAside += result.setAside;
    state.pending = result.pending;
    state.oldestPendingAt = result.oldestPendingAt;
    if (result.pending > 0) wanted = true;
  }
  return continueAsNew<typeof usageSettlement>({ ...input, paused: state.paused, wanted: wanted || forced, settled: state.settled });
}

// It outlives every release, so it moves to the newest one as it runs: a change here is guarded by `patched` and by recorded histories.
// Without build ids there is no behaviour to name, and the server refuses one.
setWorkflowOptions(
  () => (workflowInfo().currentDeploymentVersion?.deploymentName ? { versioningBehavior: "AUTO_UPGRADE" } : {}),
  usageSettlement,
);

function describe(state: SettlementLag): string {
  const waiting = state.pending > 0 ? `${state.pending} waiting since ${state.oldestPendingAt}` : "nothing waiting";
  return `**Shard ${state.shard}** ${state.paused ? "paused" : "running"}: ${state.settled} calls settled, ${state.setAside} set aside, ${waiting}`;
}
