import type { Principal, Role } from "../http/principal.ts";
import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { createFreshCache } from "./cache.ts";
import type { Changes } from "./changes.ts";
import { checkMaySignIn } from "./sessions.ts";
import type { UserStatus } from "./status.ts";
import type { AccessClaims } from "./tokens.ts";

interface SessionRow {
  user_id: string;
  wallet_id: bigint;
  roles: Role[];
  email_verified: boolean;
  status: UserStatus;
  suspended_until: Date | null;
}

interface Known {
  principal: Principal;
  status: UserStatus;
  suspended_until: Date | null;
}

const FIND_SESSION = `
  SELECT s.user_id, u.wallet_id, u.roles, u.email_verified, u.status, u.suspended_until
  FROM sessions s JOIN users u ON u.id = s.user_id
  WHERE s.id = $1 AND s.revoked_at IS NULL`;

/**
 * Who stands behind the claims of an access token, now: the cached answer is dropped when the user or one of his sessions changes.
 * Throws `unauthenticated` (session ended, account closed) or `account_suspended`.
 */
export function createPrincipals(deps: { pool: Pool; changes: Changes }): (claims: AccessClaims) => Promise<Principal> {
  const cache = createFreshCache<Known>({
    changes: deps.changes,
    max: 50_000,
    ttlMs: 60_000,
    topics: ["user"],
    tags: ({ principal }) => [["user", principal.userId]],
    async load(sessionId) {
      const { rows } = await deps.pool.query<SessionRow>(FIND_SESSION, [sessionId]);
      const row = rows[0];
      if (!row) return undefined;
      return {
        principal: { userId: row.user_id, walletId: row.wallet_id, roles: row.roles, emailVerified: row.email_verified, sessionId },
        status: row.status,
        suspended_until: row.suspended_until,
      };
    },
  });

  return async function principalOf(claims) {
    const known = await cache.get(claims.sessionId);
    if (known?.principal.userId !== claims.userId) throw appError("unauthenticated", { message: "This session has ended" });
    if (known.status !== "active") checkMaySignIn(known, Date.now());
    return known.principal;
  };
}
