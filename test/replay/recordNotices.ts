import { Client, Connection } from "@temporalio/client";
import { createNoticeActivities } from "../../activities/notices.ts";
import { startWorker } from "../../src/main/worker-runtime.ts";
import { cleanUp } from "../support/cleanup.ts";
import { freshNamespace } from "../support/fresh.ts";
import { saveHistory } from "../support/histories.ts";
import { infra, startInfra } from "../support/infra.ts";
import { silent } from "../support/usage.ts";

/** Records a history of the notices' workflow for the replay test: `node dist/test/replay/recordNotices.js [release]`; see record.ts. */
const release = process.argv[2] ?? "first";

await startInfra();
const connection = await Connection.connect({ address: infra().temporalAddress });
const namespace = await freshNamespace();
const client = new Client({ connection, namespace });
const worker = startWorker({
  address: infra().temporalAddress,
  namespace,
  taskQueue: "billing",
  activities: createNoticeActivities({
    tell: { tell: async () => ({ notices: 2, disabled: 0, requeued: 2, failed: 0 }), forget: async () => 0 },
  }),
  client,
  graceMs: 5_000,
  log: silent,
});
try {
  const handle = await client.workflow.start("noticeDelivery", { workflowId: "noticeDelivery", taskQueue: "billing", args: [] });
  await handle.result();
  await saveHistory(handle, "noticeDelivery", release);
} finally {
  await worker.stop();
  await connection.close();
  await cleanUp();
}
process.exit(0);
