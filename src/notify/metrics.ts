import type { Metrics } from "../platform/metrics.ts";
import { MAIL_QUEUE, type MailQueue } from "./queue.ts";

const STATES = ["waiting", "active", "delayed", "failed", "prioritized"] as const;
const TIMEOUT_MS = 1_000;

/** Jobs in the mail queue by state, as Redis knows it: the same on every copy. No value while Redis is away. */
export function watchQueue(metrics: Metrics, queue: MailQueue): void {
  metrics.gauge({
    name: "tollkeeper_queue_jobs",
    help: "Jobs in a queue by state.",
    async read() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error("the queue does not answer")), TIMEOUT_MS);
      });
      const asked = queue.getJobCounts(...STATES);
      asked.catch(() => undefined);
      try {
        const counts = await Promise.race([asked, late]);
        return STATES.map((state) => ({ labels: { queue: MAIL_QUEUE, state }, value: counts[state] ?? 0 }));
      } finally {
        clearTimeout(timer);
      }
    },
  });
}
