import { LRUCache } from "lru-cache";
import type { Topic } from "../platform/invalidation.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Tiers } from "../quotas/index.ts";
import { createFreshCache } from "./cache.ts";
import { callerOf, FIND_KEY, FIND_TOKEN, type CallerKey, type KeyRow, type TokenRow } from "./caller.ts";
import type { Changes } from "./changes.ts";
import { claimsToBeToken, hashKey, isWellFormedKey } from "./keyFormat.ts";
import { statusAt } from "./status.ts";

const CACHE_MAX = 50_000;
const CACHE_TTL_MS = 60_000;
const ABSENT_TTL_MS = 2_000;
/** So long a key that was good is let through to be asked for again, whatever else comes from its address. */
const GOOD_MS = 3_600_000;

/** A token is cached under another name than a key with the same hash would be. */
const TOKEN_MARK = "t";

async function load(pool: Pool, tiers: Tiers, name: string): Promise<CallerKey | undefined> {
  if (!name.startsWith(TOKEN_MARK)) {
    const { rows } = await pool.query<KeyRow>(FIND_KEY, [name]);
    return rows[0] && callerOf(rows[0], await tiers.givenFor(rows[0].tier));
  }
  const { rows } = await pool.query<TokenRow>(FIND_TOKEN, [name.slice(TOKEN_MARK.length)]);
  return rows[0] && callerOf(rows[0], await tiers.givenFor(rows[0].tier), rows[0]);
}

/**
 * Answers who a key belongs to: a hash and a map lookup while the key is known here and changes arrive, one query otherwise.
 * undefined for a key that is malformed, unknown, switched off, revoked or expired; with `known` also for one that was not good here within
 * the hour, without a query. Rejects when Postgres is needed and away.
 */
export function createKeyAuthenticator(deps: {
  pool: Pool;
  tiers: Tiers;
  changes: Changes;
}): (raw: string, options?: { known: boolean }) => Promise<CallerKey | undefined> {
  const cache = createFreshCache<CallerKey>({
    changes: deps.changes,
    max: CACHE_MAX,
    ttlMs: CACHE_TTL_MS,
    absentTtlMs: ABSENT_TTL_MS,
    topics: ["user", "api_key", "settings"],
    tags: (key) => [
      ["user", key.principal.userId],
      ["api_key", key.keyId!],
      ["settings", "tiers"],
      ...(key.tokenId === null ? [] : ([["api_key", key.tokenId]] as [Topic, string][])),
    ],
    load: (name) => load(deps.pool, deps.tiers, name),
  });

  const good = new LRUCache<string, true>({ max: CACHE_MAX, ttl: GOOD_MS, ttlResolution: 1_000 });

  return async function authenticateKey(raw, options) {
    const name = claimsToBeToken(raw) ? TOKEN_MARK + hashKey(raw) : hashKey(raw);
    let key = cache.peek(name);
    if (!key) {
      if (!isWellFormedKey(raw) || (options?.known && !good.has(name))) return undefined;
      key = await cache.get(name);
      if (!key) return undefined;
      good.set(name, true);
    }
    const now = Date.now();
    if (key.expiresAt !== null && key.expiresAt.getTime() <= now) return undefined;
    if (key.status === "active") return key;
    return { ...key, status: statusAt(key.status, key.suspendedUntil, now) };
  };
}
