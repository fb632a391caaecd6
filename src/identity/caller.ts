import type { Principal, Role } from "../http/principal.ts";
import { accountLimits, lifeBudget, spendLimits, type Limits, type Given, type SpendLimits, type Terms } from "../quotas/index.ts";
import { createIpList } from "./ipList.ts";
import type { UserStatus } from "./status.ts";
import { zoneOf, type ZoneRow } from "./zone.ts";

/** An API key, an end-user token of one, or a session of a user without any key, as the relay needs it: everything parsed and ready. */
export interface CallerKey {
  principal: Principal;
  /** Null for a session. */
  keyId: string | null;
  /** The end-user token that was sent in place of its key, or null. */
  tokenId: string | null;
  /** Whom the token is for, in the words of who asked for it; null without. */
  endUser: string | null;
  /** The user's status now. */
  status: UserStatus;
  suspendedUntil: Date | null;
  /** What prices may depend on. */
  tier: string;
  keyGroup: string | null;
  /** Each counts on its own, so that a narrower one can only narrow: those of the user, of the key, and of a token if one was sent. */
  limits: { user: Limits; key: Limits; token: Limits | null };
  /** The spend limits and quotas among them, ready to be held against; null when there are none. */
  spend: SpendLimits | null;
  /** Allowed models, null for all; with a token those that its key allows too. */
  models: string[] | null;
  /** The same in lower case, for lookups. */
  modelSet: ReadonlySet<string> | null;
  /** Addresses that the key, and the token, may be used from; null for all. */
  ipList: { has(ip: string): boolean } | null;
  /** How long answers to its calls are kept for the same call again; null for not at all. */
  cacheSeconds: number | null;
  /** When this key or token stops working; of a rotated key, the end of its grace. */
  expiresAt: Date | null;
}

/** A row of {@link FIND_KEY}. */
export interface KeyRow extends ZoneRow {
  /** Null where a session stands in place of a key. */
  id: string | null;
  limits: Limits;
  models: string[] | null;
  allowed_ips: string[] | null;
  expires_at: Date | null;
  key_group: string | null;
  cache_seconds: number | null;
  user_id: string;
  wallet_id: bigint;
  roles: Role[];
  email_verified: boolean;
  status: UserStatus;
  suspended_until: Date | null;
  tier: string;
  user_limits: Limits;
  /** What the user is subscribed to; null for the standard plan. */
  quota_terms: Terms[] | null;
  /** What the user's behaviour leaves of rates and parallel calls. */
  limit_percent: number;
}

/** A row of {@link FIND_TOKEN}. */
export interface TokenRow extends KeyRow {
  token_id: string;
  budget: bigint;
  token_limits: Limits;
  token_models: string[] | null;
  token_ips: string[] | null;
  token_expires_at: Date;
  end_user: string | null;
}

/** An active key by its hash. */
export const FIND_KEY = `
  SELECT k.id, k.limits, k.models, k.allowed_ips, k.key_group, k.cache_seconds,
         least(k.expires_at, CASE WHEN k.hash <> $1 THEN k.previous_expires_at END) AS expires_at,
         u.id AS user_id, u.wallet_id, u.roles, u.email_verified, u.status, u.suspended_until, u.tier, u.time_zone, u.zone_before,
         u.limits AS user_limits, quota_terms(u.id) AS quota_terms, quota_limit_percent(u.id) AS limit_percent
  FROM api_keys k JOIN users u ON u.id = k.user_id
  WHERE (k.hash = $1 OR k.previous_hash = $1) AND k.status = 'active'`;

/** A token by its hash, with the key it was made with. */
export const FIND_TOKEN = `
  SELECT k.id, k.limits, k.models, k.allowed_ips, k.key_group, k.cache_seconds, least(t.expires_at, k.expires_at) AS expires_at,
         u.id AS user_id, u.wallet_id, u.roles, u.email_verified, u.status, u.suspended_until, u.tier, u.time_zone, u.zone_before,
         u.limits AS user_limits, quota_terms(u.id) AS quota_terms, quota_limit_percent(u.id) AS limit_percent,
         t.id AS token_id, t.budget, t.limits AS token_limits, t.models AS token_models, t.allowed_ips AS token_ips,
         t.expires_at AS token_expires_at, t.end_user
  FROM end_user_tokens t JOIN api_keys k ON k.id = t.key_id JOIN users u ON u.id = k.user_id
  WHERE t.hash = $1 AND t.revoked_at IS NULL AND k.status = 'active'`;

/** The caller that a row describes; `given` for the tier of its user. */
export function callerOf(row: KeyRow, { tier, weights, book }: Given, token?: TokenRow): CallerKey {
  const terms = row.quota_terms ?? book.standard;
  const user = accountLimits({ terms, book, tier, own: row.user_limits, percent: row.limit_percent }, Date.now());
  const key = row.limits;
  const models = token?.token_models ? both(row.models, token.token_models) : row.models;
  return {
    principal: {
      userId: row.user_id,
      walletId: row.wallet_id,
      roles: row.roles,
      emailVerified: row.email_verified,
      ...(row.id === null ? {} : { apiKeyId: row.id }),
    },
    keyId: row.id,
    tokenId: token?.token_id ?? null,
    endUser: token?.end_user ?? null,
    status: row.status,
    suspendedUntil: row.suspended_until,
    tier: row.tier,
    keyGroup: row.key_group,
    limits: { user, key, token: token?.token_limits ?? null },
    spend: spendLimits(
      [
        { id: `key:${row.id}`, limits: key },
        { id: `user:${row.user_id}`, limits: user },
      ],
      zoneOf(row),
      {
        fixed: token && [lifeBudget(`token:${token.token_id}`, token.token_expires_at, token.budget)],
        quotas: { userId: row.user_id, keyId: row.id ?? undefined, terms, book, weights, limits: { tier, own: row.user_limits, key } },
      },
    ),
    models,
    modelSet: models && new Set(models.map((model) => model.toLowerCase())),
    ipList: ipListOf(row.allowed_ips, token?.token_ips ?? null),
    cacheSeconds: row.cache_seconds,
    expiresAt: row.expires_at,
  };
}

/** Models that a token and its key allow. */
function both(ofKey: string[] | null, ofToken: string[]): string[] {
  const allowed = ofKey && new Set(ofKey.map((model) => model.toLowerCase()));
  return allowed ? ofToken.filter((model) => allowed.has(model.toLowerCase())) : ofToken;
}

/** Addresses that are in every list there is. */
function ipListOf(...lists: (string[] | null)[]): CallerKey["ipList"] {
  const given = lists.filter((list) => list !== null).map(createIpList);
  if (given.length <= 1) return given[0] ?? null;
  return { has: (ip) => given.every((list) => list.has(ip)) };
}
