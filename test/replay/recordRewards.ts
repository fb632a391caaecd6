import { createRewardActivities } from "../../activities/rewards.ts";
import { startWorker } from "../../src/main/worker-runtime.ts";
import { createLogger } from "../../src/platform/logger.ts";
import { createTemporalLink } from "../../src/platform/temporal.ts";
import { cleanUp } from "../support/cleanup.ts";
import { freshNamespace } from "../support/fresh.ts";
import { saveHistory } from "../support/histories.ts";
import { infra, startInfra } from "../support/infra.ts";

/** Records the history of the workflow of rewards for the replay test: `node dist/test/replay/recordRewards.js [release]`. */
const release = process.argv[2] ?? "first";
const log = createLogger({ level: "silent", name: "test" });

await startInfra();
const [address, namespace] = [infra().temporalAddress, await freshNamespace()];
const link = createTemporalLink({ address, namespace, uiUrl: "http://ui.test", log });
const worker = startWorker({
  address,
  namespace,
  taskQueue: "billing",
  activities: createRewardActivities({ topUps: { deliver: async () => ({ topUps: 1, referrals: 1, reversals: 1, failed: 0 }) } }),
  client: link.client,
  graceMs: 1_000,
  log,
});
const handle = await link.client.workflow.start("rewardDelivery", { workflowId: "reward-delivery", taskQueue: "billing", args: [] });
await handle.result();
await saveHistory(handle, "rewardDelivery", release);
await worker.stop();
await link.close();
await cleanUp();
process.exit(0);
