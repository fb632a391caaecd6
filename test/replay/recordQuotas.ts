import { Client, Connection } from "@temporalio/client";
import { createQuotaActivities } from "../../activities/quotas.ts";
import { startWorker } from "../../src/main/worker-runtime.ts";
import { quotaRig } from "../integration/quotas/rig.ts";
import { cleanUp } from "../support/cleanup.ts";
import { freshNamespace } from "../support/fresh.ts";
import { saveHistory } from "../support/histories.ts";
import { infra, startInfra } from "../support/infra.ts";
import { silent } from "../support/usage.ts";

/**
 * Records histories of the reset for the replay test: `node dist/test/replay/recordQuotas.js [release]`, see record.ts. One run in which a
 * period is opened and stated, one of several rounds whose first attempt fails, one with nothing to do.
 */
const release = process.argv[2] ?? "first";

await startInfra();
const { temporalAddress: address } = infra();
const [connection, namespace, rig] = [await Connection.connect({ address }), await freshNamespace(), await quotaRig()];
const client = new Client({ connection, namespace });
let failing = 0;
const flaky = async <T>(work: () => Promise<T>): Promise<T> => {
  if (failing-- > 0) throw new Error("Postgres is away");
  return work();
};
const worker = startWorker({
  address,
  namespace,
  taskQueue: "billing",
  activities: createQuotaActivities({
    reset: {
      openPeriods: (options) => flaky(() => rig.reset.openPeriods(options)),
      writeStatements: (options) => rig.reset.writeStatements(options),
    },
    tierReview: rig.tierReview,
  }),
  client,
  graceMs: 5_000,
  log: silent,
});
const run = async (name: string, workflowId: string) => {
  const handle = await client.workflow.start("quotaReset", { workflowId, taskQueue: "billing", args: [] });
  await handle.result();
  await saveHistory(handle, name, release);
};
try {
  await rig.plan("hundred", 100);
  await rig.subscriber("2032-03-10T00:00:00Z", "hundred");
  rig.clock.at = new Date("2032-06-10T00:00:00Z");
  await run("quotaReset-opened", "quota-reset-1");
  rig.clock.at = new Date("2032-07-10T00:00:00Z");
  failing = 2;
  await run("quotaReset-retried", "quota-reset-2");
  await run("quotaReset-idle", "quota-reset-3");
} finally {
  await worker.stop();
  await rig.close();
  await connection.close();
  await cleanUp();
}
process.exit(0);
