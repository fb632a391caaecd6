import { Redis } from "ioredis";
import type { Logger } from "./logger.ts";

export type { Redis };

/**
 * A connection for short commands on the request path: it fails at once while Redis is gone instead of queueing,
 * and reconnects by itself. Callers decide what a failure means (the limiter goes local, a mail is retried).
 */
export function createRedis(options: { url: string; log: Logger; commandTimeoutMs?: number }): Redis {
  const redis = new Redis(options.url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeoutMs ?? 1_000,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), 1_000),
    lazyConnect: true,
  });
  let down = false;
  redis.on("error", (error) => {
    if (!down) options.log.warn({ err: error }, "redis is not reachable");
    down = true;
  });
  redis.on("ready", () => {
    if (down) options.log.info("redis is back");
    down = false;
  });
  redis.connect().catch(() => undefined);
  return redis;
}

/**
 * Another connection to the same server, for a caller who minds the time its commands take: none of them is given up, and none waits behind
 * what others send. The caller disconnects it.
 */
export function dedicateRedis(redis: Redis): Redis {
  const own = redis.duplicate({ commandTimeout: undefined });
  // The other connection has said it.
  own.on("error", () => undefined);
  own.connect().catch(() => undefined);
  return own;
}

/** A connection for bullmq and pub/sub, which wait for Redis rather than fail. */
export function createBlockingRedis(options: { url: string; log: Logger }): Redis {
  const redis = new Redis(options.url, {
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), 1_000),
  });
  redis.on("error", () => undefined);
  return redis;
}
