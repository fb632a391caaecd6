import type { Metrics } from "../platform/metrics.ts";
import { within } from "../platform/within.ts";
import type { Notify } from "./index.ts";

const STATES = ["waiting", "active", "delayed", "failed", "prioritized"] as const;
const TIMEOUT_MS = 1_000;

/** Jobs in the queues by state, as Redis knows them: the same on every copy. No value while Redis is away. */
export function watchQueues(metrics: Metrics, { mail, webhooks }: Notify["queues"]): void {
  metrics.gauge({
    name: "tollkeeper_queue_jobs",
    help: "Jobs in a queue by state.",
    async read() {
      const asked = Promise.all(
        [mail, webhooks].map(async (queue) => ({ queue: queue.name, counts: await queue.getJobCounts(...STATES) })),
      );
      const found = await within(TIMEOUT_MS, asked, () => new Error("the queue does not answer"));
      return found.flatMap(({ queue, counts }) => STATES.map((state) => ({ labels: { queue, state }, value: counts[state] ?? 0 })));
    },
  });
}
