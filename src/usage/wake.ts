import type { Client } from "@temporalio/client";
import { defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import type { usageSettlement } from "../../workflows/usageSettlement.ts";

const shardKey = defineSearchAttributeKey("Shard", "INT");
const WAKE_DEADLINE_MS = 5_000;

/** The workflow that settles a shard. */
export const settlementWorkflowId = (shard: number): string => `settlement-${shard}`;

function startOptions(shard: number, taskQueue: string) {
  return {
    workflowId: settlementWorkflowId(shard),
    taskQueue,
    args: [{ shard }] as [{ shard: number }],
    typedSearchAttributes: new TypedSearchAttributes([{ key: shardKey, value: shard }]),
    staticSummary: `Settles the calls of shard ${shard}`,
    staticDetails: "Runs for ever. Signals: nudge, pause, resume, drain. Query: lag.",
  };
}

/** Wakes a shard's settlement, starting it when it is not there. Rejects while Temporal is away. */
export async function wakeSettlement(client: Client, shard: number, taskQueue: string): Promise<void> {
  await client.withDeadline(Date.now() + WAKE_DEADLINE_MS, () =>
    client.workflow.signalWithStart<typeof usageSettlement, []>("usageSettlement", {
      ...startOptions(shard, taskQueue),
      signal: "nudge",
      signalArgs: [],
    }),
  );
}

/** Makes sure that every shard has its settlement workflow; those that run are left alone. */
export async function startSettlements(client: Client, shards: number, taskQueue: string): Promise<void> {
  for (let shard = 0; shard < shards; shard++) {
    await client.workflow.start<typeof usageSettlement>("usageSettlement", {
      ...startOptions(shard, taskQueue),
      workflowIdConflictPolicy: "USE_EXISTING",
    });
  }
}
