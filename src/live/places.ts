import { appError } from "../platform/errors.ts";
import type { Redis } from "../platform/redis.ts";
import { COPIES, placesOf } from "./keys.ts";
import { away } from "./tickets.ts";

const DAY_MS = 86_400_000;

/** Sets what this copy has of a user's connections if all copies that live have no more than ARGV[3] together; forgets copies that are gone. */
const TAKE = `
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local held, total = redis.call('HGETALL', KEYS[1]), tonumber(ARGV[2])
  for i = 1, #held, 2 do
    if held[i] ~= ARGV[1] then
      local until_ = redis.call('ZSCORE', KEYS[2], held[i])
      if until_ and tonumber(until_) > now then total = total + tonumber(held[i + 1])
      else redis.call('HDEL', KEYS[1], held[i]) end
    end
  end
  if total > tonumber(ARGV[3]) then return 0 end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return 1`;

/** How many connections one person may have, on all copies together. A copy that is gone gives back its places by itself. */
export interface Places {
  /** Throws `rate_limited` when all are taken, `unavailable` while Redis is away. */
  take(userId: string): Promise<void>;
  free(userId: string): void;
  /** A person's connections by copy, of those copies that live. */
  of(userId: string): Promise<number>;
}

export function createPlaces(deps: { redis: Redis; copy: string; most: number }): Places {
  const { redis, copy, most } = deps;
  /** What this copy has: the truth, of which Redis is told. */
  const own = new Map<string, number>();

  function set(userId: string, count: number): void {
    if (count > 0) own.set(userId, count);
    else own.delete(userId);
  }

  return {
    async take(userId) {
      set(userId, (own.get(userId) ?? 0) + 1);
      const mine = own.get(userId)!;
      try {
        const taken = await redis.eval(TAKE, 2, placesOf(userId), COPIES, copy, mine, most, DAY_MS).catch(away);
        if (taken !== 1) {
          throw appError("rate_limited", { message: `You have ${most} live connections open; close one first`, retryAfter: 5 });
        }
      } catch (error) {
        set(userId, own.get(userId)! - 1);
        throw error;
      }
    },
    free(userId) {
      const left = (own.get(userId) ?? 1) - 1;
      set(userId, left);
      const key = placesOf(userId);
      void (left > 0 ? redis.hset(key, copy, left) : redis.hdel(key, copy)).catch(() => undefined);
    },
    async of(userId) {
      const held = await redis.hgetall(placesOf(userId)).catch(away);
      const living = new Set(await redis.zrangebyscore(COPIES, Date.now(), "+inf").catch(away));
      return Object.entries(held).reduce((sum, [name, count]) => sum + (living.has(name) ? Number(count) : 0), 0);
    },
  };
}
