import type { Gateway } from "../gateway/index.ts";
import type { HealthCheck } from "../http/health.ts";
import type { Identity } from "../identity/index.ts";
import { createMonitor, type Monitor } from "../monitor/index.ts";
import type { Notify } from "../notify/index.ts";
import { announce } from "../platform/invalidation.ts";
import { backlog, lastMinute } from "../usage/index.ts";
import type { Platform } from "./platform.ts";

/** The operators' live monitor of an api process. */
export function createApiMonitor(
  { pool, redis, log, metrics, config, monitor: publisher }: Platform,
  { identity, notify, gateway, checks }: { identity: Identity; notify: Notify; gateway: Gateway; checks: readonly HealthCheck[] },
): Monitor {
  const live = () => gateway.live;
  publisher.live = live;
  return createMonitor({
    redis,
    log,
    metrics,
    checks,
    live,
    backlog: () => backlog(pool),
    lastMinute: () => lastMinute(pool),
    queues: async () => {
      const queues = Object.values(notify.queues);
      const counts = await Promise.all(queues.map((queue) => queue.getJobCounts("waiting", "active", "delayed", "failed")));
      return Object.fromEntries(queues.map(({ name }, i) => [name, counts[i]!]));
    },
    wakeAll: () => announce(pool, "monitor", "*"),
    mostListeners: config.MONITOR_STREAMS,
    authenticate: identity.authenticate,
    principalOf: identity.principalOf,
  });
}
