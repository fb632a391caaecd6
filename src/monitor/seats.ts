import { appError } from "../platform/errors.ts";
import type { Redis } from "../platform/redis.ts";
import { listenersOf } from "./keys.ts";

/** A place is free again this long after its copy was last heard of. */
const LIFE_MS = 30_000;

/** Takes a place if there is one, and forgets those of copies that are gone. By Redis' clock, which all copies share. */
const TAKE = `
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return 1`;

/** How many streams one operator may have open, on all copies together. */
export interface Seats {
  /** Throws `rate_limited` when all are taken, `unavailable` while Redis is away. */
  take(userId: string, listenerId: string): Promise<void>;
  keep(listeners: Iterable<{ userId: string; id: string }>): Promise<void>;
  free(userId: string, listenerId: string): void;
}

export function createSeats(deps: { redis: Redis; most: number }): Seats {
  const { redis, most } = deps;
  const away = (cause: unknown): never => {
    throw appError("unavailable", { message: "The monitor needs Redis, which is not reachable", retryAfter: 2, cause });
  };
  return {
    async take(userId, listenerId) {
      const taken = await redis.eval(TAKE, 1, listenersOf(userId), listenerId, most, LIFE_MS).catch(away);
      if (taken === 1) return;
      throw appError("rate_limited", { message: `You have ${most} streams of the monitor open; close one first`, retryAfter: 5 });
    },
    async keep(listeners) {
      const pipeline = redis.pipeline();
      for (const { userId, id } of listeners) pipeline.eval(TAKE, 1, listenersOf(userId), id, most, LIFE_MS);
      await pipeline.exec();
    },
    free: (userId, listenerId) => void redis.zrem(listenersOf(userId), listenerId).catch(() => undefined),
  };
}
