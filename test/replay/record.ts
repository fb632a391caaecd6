import type { usageSettlement } from "../../workflows/index.ts";
import type { SettlementLag } from "../../workflows/usageSettlement.ts";
import { cleanUp } from "../support/cleanup.ts";
import { freshDatabase, freshNamespace } from "../support/fresh.ts";
import { saveHistory } from "../support/histories.ts";
import { infra, startInfra } from "../support/infra.ts";
import { waitFor } from "../support/waitFor.ts";
import { workerRig, type WorkerRig } from "../support/usageWorker.ts";

/**
 * Records real histories of the workflows of usage for the replay test: `node dist/test/replay/record.js [release]`. Run it for each
 * release and keep the old files: they prove that new code still replays what old code began.
 */
const release = process.argv[2] ?? "first";
async function recordSettlement(rig: WorkerRig): Promise<void> {
  const { workflow } = rig.client;
  const first = await workflow.start<typeof usageSettlement>("usageSettlement", {
    workflowId: "settlement-0",
    taskQueue: "billing",
    args: [{ shard: 0, maxRounds: 3, idleMs: 5_000 }],
  });
  const lag = () => workflow.getHandle("settlement-0").query<SettlementLag, []>("lag");
  const owner = await rig.wallet(10_000);
  const record = async () => rig.usage.record(await rig.call(owner));
  const anew = async () => (await workflow.getHandle("settlement-0").describe()).runId !== first.firstExecutionRunId;
  for (let settled = 1; !(await anew()); settled++) {
    await record();
    await waitFor(async () => (await lag()).settled >= settled, { timeoutMs: 30_000 });
  }
  await saveHistory(workflow.getHandle("settlement-0", first.firstExecutionRunId), "usageSettlement-continued", release);

  const second = workflow.getHandle<typeof usageSettlement>("settlement-0");
  const before = (await lag()).settled;
  await second.signal("pause");
  await waitFor(async () => (await lag()).paused);
  await record();
  await second.signal("drain");
  await waitFor(async () => (await lag()).settled === before + 1);
  await second.signal("resume");
  await waitFor(async () => !(await lag()).paused);
  await saveHistory(second, "usageSettlement-paused", release);
  await second.terminate("recorded");
}

async function recordHousekeeping(rig: WorkerRig): Promise<void> {
  for (const type of ["holdSweep", "grantExpiry"]) {
    const handle = await rig.client.workflow.start(type, { workflowId: type, taskQueue: "billing", args: [] });
    await handle.result();
    await saveHistory(handle, type, release);
  }
}

await startInfra();
const rig = await workerRig({ url: await freshDatabase(), address: infra().temporalAddress, namespace: await freshNamespace() });
try {
  await recordSettlement(rig);
  await recordHousekeeping(rig);
} finally {
  await rig.close();
  await cleanUp();
}
process.exit(0);
