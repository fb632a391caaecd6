import type { Pool } from "../platform/postgres.ts";
import type { Tiers } from "../quotas/index.ts";
import { createFreshCache } from "./cache.ts";
import { callerOf, type CallerKey, type KeyRow } from "./caller.ts";
import type { Changes } from "./changes.ts";
import { statusAt } from "./status.ts";
import type { AccessTokens } from "./tokens.ts";

const CACHE_MAX = 50_000;
const CACHE_TTL_MS = 60_000;
const ABSENT_TTL_MS = 2_000;

type SessionRow = Omit<KeyRow, keyof typeof NO_KEY>;

/** What a key would narrow, and a session does not. */
const NO_KEY = { id: null, limits: {}, models: null, allowed_ips: null, expires_at: null, key_group: null, cache_seconds: null };

const FIND_SESSION = `
  SELECT u.id AS user_id, u.wallet_id, u.roles, u.email_verified, u.status, u.suspended_until, u.tier, u.time_zone, u.zone_before,
         u.limits AS user_limits, quota_terms(u.id) AS quota_terms, quota_limit_percent(u.id) AS limit_percent
  FROM sessions s JOIN users u ON u.id = s.user_id
  WHERE s.id = $1 AND s.revoked_at IS NULL`;

/** Whether this may be an access token: the base64 of `{"`. No key begins so. */
export const claimsToBeAccessToken = (text: string): boolean => text.startsWith("eyJ");

/**
 * Answers whose calls come with an access token: the user's own, by no key. The signature is checked each time, the session is known here
 * until it or its user changes. undefined for a token that is not ours or has expired, and for a session that has ended. Rejects when
 * Postgres is needed and away.
 */
export function createSessionCallers(deps: {
  pool: Pool;
  tiers: Tiers;
  tokens: Pick<AccessTokens, "read">;
  changes: Changes;
}): (jwt: string) => Promise<CallerKey | undefined> {
  const { pool, tiers, tokens, changes } = deps;
  const cache = createFreshCache<CallerKey>({
    changes,
    max: CACHE_MAX,
    ttlMs: CACHE_TTL_MS,
    absentTtlMs: ABSENT_TTL_MS,
    topics: ["user", "settings"],
    tags: ({ principal }) => [
      ["user", principal.userId],
      ["settings", "tiers"],
    ],
    async load(sessionId) {
      const { rows } = await pool.query<SessionRow>(FIND_SESSION, [sessionId]);
      const [row] = rows;
      if (!row) return undefined;
      const caller = callerOf({ ...NO_KEY, ...row }, await tiers.givenFor(row.tier));
      return { ...caller, principal: { ...caller.principal, sessionId } };
    },
  });

  return async function authenticateSession(jwt) {
    const claims = tokens.read(jwt);
    const caller = claims && (await cache.get(claims.sessionId));
    if (caller?.principal.userId !== claims?.userId) return undefined;
    if (!caller || caller.status === "active") return caller;
    return { ...caller, status: statusAt(caller.status, caller.suspendedUntil, Date.now()) };
  };
}
