import type { Metrics } from "../platform/metrics.ts";
import type { Platform } from "./platform.ts";

/** What a process knows of its release and of its connections, read when somebody asks. */
export function watchParts(metrics: Metrics, platform: Pick<Platform, "pool" | "redis" | "invalidation">, release: string): void {
  const { pool, redis, invalidation } = platform;
  metrics.gauge({
    name: "tollkeeper_build_info",
    help: "1, with the release as a label.",
    read: () => [{ labels: { version: release }, value: 1 }],
  });
  metrics.gauge({
    name: "tollkeeper_postgres_connections",
    help: "Connections of the ledger's pool, and queries that wait for one.",
    read: () => [
      { labels: { state: "open" }, value: pool.totalCount },
      { labels: { state: "idle" }, value: pool.idleCount },
      { labels: { state: "waiting" }, value: pool.waitingCount },
    ],
  });
  metrics.gauge({
    name: "tollkeeper_redis_up",
    help: "1 while this process has a usable connection to Redis.",
    read: () => (redis.status === "ready" ? 1 : 0),
  });
  metrics.gauge({
    name: "tollkeeper_cache_fresh",
    help: "1 while changes of keys, prices and providers reach this process; while 0 it asks Postgres for each call.",
    read: () => (invalidation.fresh ? 1 : 0),
  });
}
