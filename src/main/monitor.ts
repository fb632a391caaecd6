import type { Gateway } from "../gateway/index.ts";
import type { HealthCheck } from "../http/health.ts";
import type { Identity } from "../identity/index.ts";
import { createMonitor, type Monitor } from "../monitor/index.ts";
import type { Notify } from "../notify/index.ts";
import { backlog, lastMinute } from "../usage/index.ts";
import type { Platform } from "./platform.ts";

/** The operators' live monitor of an api process. */
export function createApiMonitor(
  { pool, redis, log, metrics, config, monitor: publisher }: Platform,
  { identity, notify, gateway, checks }: { identity: Identity; notify: Notify; gateway: Gateway; checks: readonly HealthCheck[] },
): Monitor {
  const live = () => gateway.live;
  publisher.live = live;
  const { queue } = notify;
  return createMonitor({
    redis,
    log,
    metrics,
    checks,
    live,
    backlog: () => backlog(pool),
    lastMinute: () => lastMinute(pool),
    queues: async () => ({ [queue.name]: await queue.getJobCounts("waiting", "active", "delayed", "failed") }),
    mostListeners: config.MONITOR_STREAMS,
    authenticate: identity.authenticate,
    principalOf: identity.principalOf,
  });
}
