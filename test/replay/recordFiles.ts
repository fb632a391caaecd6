import { Client, Connection } from "@temporalio/client";
import { createFileActivities, type FileServices } from "../../activities/files.ts";
import { startWorker } from "../../src/main/worker-runtime.ts";
import { cleanUp } from "../support/cleanup.ts";
import { freshNamespace } from "../support/fresh.ts";
import { saveHistory } from "../support/histories.ts";
import { infra, startInfra } from "../support/infra.ts";
import { silent } from "../support/usage.ts";

/** Records histories of the workflows of files for the replay test: `node dist/test/replay/recordFiles.js [release]`; see record.ts. */
const release = process.argv[2] ?? "first";

await startInfra();
const connection = await Connection.connect({ address: infra().temporalAddress });
const namespace = await freshNamespace();
const client = new Client({ connection, namespace });
const states = { whole: "ready", other: "rejected", gone: undefined } as const;
const failed = new Set<string>();
const services: FileServices = {
  sweep: async () => ({ expired: 1, removed: 2, orphans: 0, checks: 0, failed: 0 }),
  async check(id) {
    // The storage is away for a moment.
    if (id === "whole" && !failed.has(id)) {
      failed.add(id);
      throw new Error("The file storage is not reachable right now");
    }
    return states[id as keyof typeof states];
  },
};
const worker = startWorker({
  address: infra().temporalAddress,
  namespace,
  taskQueue: "billing",
  activities: createFileActivities(services),
  client,
  graceMs: 5_000,
  log: silent,
});

async function record(type: string, name: string, args: string[]): Promise<void> {
  const handle = await client.workflow.start(type, { workflowId: name, taskQueue: "billing", args });
  await handle.result();
  await saveHistory(handle, name, release);
}

try {
  await record("fileSweep", "fileSweep", []);
  await record("fileCheck", "fileCheck-retried", ["whole"]);
  await record("fileCheck", "fileCheck-rejected", ["other"]);
  await record("fileCheck", "fileCheck-deleted", ["gone"]);
} finally {
  await worker.stop();
  await connection.close();
  await cleanUp();
}
process.exit(0);
