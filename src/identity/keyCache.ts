import type { Principal, Role } from "../http/principal.ts";
import type { Pool } from "../platform/postgres.ts";
import { spendLimits, type Limits, type SpendLimits, type Tiers } from "../quotas/index.ts";
import { createFreshCache } from "./cache.ts";
import type { Changes } from "./changes.ts";
import { createIpList } from "./ipList.ts";
import { hashKey, isWellFormedKey } from "./keyFormat.ts";
import { statusAt, type UserStatus } from "./status.ts";

/** An API key as the relay needs it: everything parsed and ready. */
export interface CallerKey {
  principal: Principal;
  keyId: string;
  /** The end-user token that was sent in place of its key, or null. */
  tokenId: string | null;
  /** The user's status now. */
  status: UserStatus;
  suspendedUntil: Date | null;
  /** What prices may depend on. */
  tier: string;
  keyGroup: string | null;
  /** Each counts on its own, so that a narrower one can only narrow: those of the user, of the key, and of a token if one was sent. */
  limits: { user: Limits; key: Limits; token: Limits | null };
  /** The spend limits among them, ready to be held against; null when there are none. */
  spend: SpendLimits | null;
  /** Allowed models as given, null for all. */
  models: string[] | null;
  /** The same in lower case, for lookups. */
  modelSet: ReadonlySet<string> | null;
  /** Allowed addresses and ranges as given, null for all. */
  allowedIps: string[] | null;
  /** The same, for lookups. */
  ipList: { has(ip: string): boolean } | null;
  /** When this key stops working; of a rotated key, the end of its grace. */
  expiresAt: Date | null;
}

interface KeyRow {
  id: string;
  limits: Limits;
  models: string[] | null;
  allowed_ips: string[] | null;
  expires_at: Date | null;
  key_group: string | null;
  user_id: string;
  wallet_id: bigint;
  roles: Role[];
  email_verified: boolean;
  status: UserStatus;
  suspended_until: Date | null;
  tier: string;
  time_zone: string;
  user_limits: Limits;
}

const FIND_KEY = `
  SELECT k.id, k.limits, k.models, k.allowed_ips, k.key_group,
         least(k.expires_at, CASE WHEN k.hash <> $1 THEN k.previous_expires_at END) AS expires_at,
         u.id AS user_id, u.wallet_id, u.roles, u.email_verified, u.status, u.suspended_until, u.tier, u.time_zone,
         u.limits AS user_limits
  FROM api_keys k JOIN users u ON u.id = k.user_id
  WHERE (k.hash = $1 OR k.previous_hash = $1) AND k.status = 'active'`;

const CACHE_MAX = 50_000;
const CACHE_TTL_MS = 60_000;
const ABSENT_TTL_MS = 2_000;

async function load(pool: Pool, tiers: Tiers, hash: string): Promise<CallerKey | undefined> {
  const { rows } = await pool.query<KeyRow>(FIND_KEY, [hash]);
  const row = rows[0];
  if (!row) return undefined;
  const user = { ...(await tiers.limitsOf(row.tier)), ...row.user_limits };
  const key = row.limits;
  return {
    principal: { userId: row.user_id, walletId: row.wallet_id, roles: row.roles, emailVerified: row.email_verified, apiKeyId: row.id },
    keyId: row.id,
    tokenId: null,
    status: row.status,
    suspendedUntil: row.suspended_until,
    tier: row.tier,
    keyGroup: row.key_group,
    limits: { user, key, token: null },
    spend: spendLimits(
      [
        { id: `key:${row.id}`, limits: key },
        { id: `user:${row.user_id}`, limits: user },
      ],
      row.time_zone,
    ),
    models: row.models,
    modelSet: row.models && new Set(row.models.map((model) => model.toLowerCase())),
    allowedIps: row.allowed_ips,
    ipList: row.allowed_ips && createIpList(row.allowed_ips),
    expiresAt: row.expires_at,
  };
}

/**
 * Answers who a key belongs to: a hash and a map lookup while the key is known here and changes arrive, one query otherwise.
 * undefined for a key that is malformed, unknown, switched off, revoked or expired. Rejects when Postgres is needed and away.
 */
export function createKeyAuthenticator(deps: {
  pool: Pool;
  tiers: Tiers;
  changes: Changes;
}): (raw: string) => Promise<CallerKey | undefined> {
  const cache = createFreshCache<CallerKey>({
    changes: deps.changes,
    max: CACHE_MAX,
    ttlMs: CACHE_TTL_MS,
    absentTtlMs: ABSENT_TTL_MS,
    topics: ["user", "api_key", "settings"],
    tags: (key) => [
      ["user", key.principal.userId],
      ["api_key", key.keyId],
      ["settings", "tiers"],
    ],
    load: (hash) => load(deps.pool, deps.tiers, hash),
  });

  return async function authenticateKey(raw) {
    const hash = hashKey(raw);
    let key = cache.peek(hash);
    if (!key) {
      if (!isWellFormedKey(raw)) return undefined;
      key = await cache.get(hash);
      if (!key) return undefined;
    }
    const now = Date.now();
    if (key.expiresAt !== null && key.expiresAt.getTime() <= now) return undefined;
    if (key.status === "active") return key;
    return { ...key, status: statusAt(key.status, key.suspendedUntil, now) };
  };
}
