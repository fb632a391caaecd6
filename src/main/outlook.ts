import { statfs } from "node:fs/promises";
import { createSampler, postgresFigures, single } from "../outlook/index.ts";
import { projectRoot } from "../platform/root.ts";
import { campaignBudgets } from "../rewards/index.ts";
import { backlog, failuresByProvider } from "../usage/index.ts";
import type { Platform } from "./platform.ts";

/** As the alert SettlementBacklog has it. */
const BACKLOG_LIMIT = 10_000;
/** As the alert ProviderErrors has it, in percent. */
const FAILURES_LIMIT = 20;
const FAILURES_MINUTES = 10;
const FEWEST_CALLS = 20;
/** As readiness has it. */
const FREE_BYTES_LIMIT = 64 * 1024 * 1024;

/** `used_memory:1234` of Redis' INFO. */
const numberIn = (text: string, name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(text)?.[1] ?? 0);

/** What the worker samples of the whole system. */
export function createOutlookSampler({ pool, redis, log }: Pick<Platform, "pool" | "redis" | "log">): () => Promise<void> {
  return createSampler({
    pool,
    log,
    readers: {
      ...postgresFigures(pool),
      settlement_backlog: async () => single((await backlog(pool)).pending, BACKLOG_LIMIT),
      provider_failures: async () =>
        (await failuresByProvider(pool, FAILURES_MINUTES, FEWEST_CALLS)).map(({ provider, percent }) => ({
          subject: provider,
          value: percent,
          limit: FAILURES_LIMIT,
        })),
      async disk_free_bytes() {
        const { bavail, bsize } = await statfs(projectRoot);
        return single(bavail * bsize, FREE_BYTES_LIMIT);
      },
      async redis_memory_bytes() {
        const info = await redis.info("memory");
        return single(numberIn(info, "used_memory"), numberIn(info, "maxmemory") || null);
      },
      campaign_budget: async () =>
        (await campaignBudgets(pool, new Date())).map(({ code, left }) => ({ subject: code, value: left, limit: 0 })),
    },
  });
}
