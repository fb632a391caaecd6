import type { Emit } from "../activity/index.ts";
import type { Clock } from "../platform/clock.ts";
import { appError } from "../platform/errors.ts";
import { randomText, uuidv7 } from "../platform/ids.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool, type Queryable } from "../platform/postgres.ts";
import { sha256 } from "../platform/secrets.ts";
import type { Changes } from "./changes.ts";
import { statusAt } from "./status.ts";
import type { AccessTokens } from "./tokens.ts";
import { findUser, presentUser, type UserRow, type UserView } from "./users.ts";

export interface Device {
  ip: string;
  userAgent: string | undefined;
}

/** The answer to a sign-in. `token` repeats the access token for older clients. */
export interface SignedIn {
  user: UserView;
  access_token: string;
  token: string;
  refresh_token: string;
  token_type: "Bearer";
  expires_in: number;
}

export interface Sessions {
  /** Opens a session. Throws `account_suspended`, or `unauthenticated` for a closed account. */
  open(user: UserRow, device: Device): Promise<SignedIn>;
  /** Rotates a refresh token in one transaction. Reuse of an old one ends its session (RFC 9700, 4.14). */
  refresh(token: string, device: Device): Promise<SignedIn>;
  revoke(userId: string, sessionId: string): Promise<boolean>;
  /** Ends the session that a refresh token was made for, also when it has been used or has expired; false when none lives. */
  revokeByToken(token: string): Promise<boolean>;
  /** Ends every session of somebody but `except`; returns how many. */
  revokeAll(userId: string, except?: string): Promise<number>;
}

/** Throws unless this user may sign in now. */
export function checkMaySignIn(user: Pick<UserRow, "status" | "suspended_until">, now: number): void {
  const status = statusAt(user.status, user.suspended_until, now);
  if (status === "suspended") {
    throw appError("account_suspended", { details: { suspended_until: user.suspended_until?.toISOString() ?? null } });
  }
  if (status === "closed") throw appError("unauthenticated", { message: "This account is closed" });
}

/** Those of these sessions that have not ended, of people who may sign in now. */
export async function livingSessions(db: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id = ANY ($1::uuid[]) AND s.revoked_at IS NULL AND s.expires_at > now()
       AND (u.status = 'active' OR u.status = 'suspended' AND u.suspended_until <= now())`,
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}

interface TokenRow {
  session_id: string;
  expires_at: Date;
  used_at: Date | null;
}

export function createSessions(deps: {
  pool: Pool;
  tokens: AccessTokens;
  changes: Changes;
  clock: Clock;
  emit: Emit;
  refreshTtlMs: number;
}): Sessions {
  const { pool, tokens, changes, clock, emit } = deps;

  async function issueRefreshToken(tx: Queryable, sessionId: string, now: Date): Promise<string> {
    const token = `rt-${randomText(43)}`;
    const expiresAt = new Date(now.getTime() + deps.refreshTtlMs);
    await tx.query("INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)", [sha256(token), sessionId, expiresAt]);
    await tx.query("UPDATE sessions SET expires_at = $2, last_used_at = $3 WHERE id = $1", [sessionId, expiresAt, now]);
    return token;
  }

  function answer(user: UserRow, sessionId: string, refreshToken: string): SignedIn {
    const token = tokens.sign({ userId: user.id, sessionId });
    return {
      user: presentUser(user, clock.now().getTime()),
      access_token: token,
      token,
      refresh_token: refreshToken,
      token_type: "Bearer",
      expires_in: tokens.expiresIn,
    };
  }

  async function end(userId: string, which: { only?: string; except?: string | undefined }): Promise<number> {
    const ended = await inTransaction(pool, async (tx) => {
      const { rowCount } = await tx.query(
        `UPDATE sessions SET revoked_at = $4
         WHERE user_id = $1 AND ($2::uuid IS NULL OR id = $2) AND id IS DISTINCT FROM $3 AND revoked_at IS NULL`,
        [userId, which.only ?? null, which.except ?? null, clock.now()],
      );
      await announce(tx, "user", userId);
      return rowCount ?? 0;
    });
    changes.made("user", userId);
    if (ended > 0) emit({ kind: "session.ended", user_id: userId, reason: "signed_out", sessions: ended });
    return ended;
  }

  return {
    async open(user, device) {
      const now = clock.now();
      checkMaySignIn(user, now.getTime());
      const sessionId = uuidv7();
      const refreshToken = await inTransaction(pool, async (tx) => {
        await tx.query("DELETE FROM sessions WHERE user_id = $1 AND expires_at < $2", [
          user.id,
          new Date(now.getTime() - deps.refreshTtlMs),
        ]);
        await tx.query(
          `INSERT INTO sessions (id, user_id, ip, user_agent, created_at, last_used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $5, $5)`,
          [sessionId, user.id, device.ip, device.userAgent?.slice(0, 300) ?? null, now],
        );
        await tx.query("UPDATE users SET last_sign_in_at = $2 WHERE id = $1", [user.id, now]);
        return issueRefreshToken(tx, sessionId, now);
      });
      return answer({ ...user, last_sign_in_at: now }, sessionId, refreshToken);
    },

    async refresh(token, device) {
      const hash = sha256(token);
      const arrived = clock.now();
      // Refusals are returned, not thrown: ending the family must be committed with them.
      const outcome = await inTransaction(pool, async (tx) => {
        const found = await tx.query<TokenRow>("SELECT session_id, expires_at, used_at FROM refresh_tokens WHERE hash = $1 FOR UPDATE", [
          hash,
        ]);
        const now = clock.now();
        const row = found.rows[0];
        if (!row || row.expires_at <= now) return "invalid";
        const session = await tx.query<{ user_id: string }>(
          "SELECT user_id FROM sessions WHERE id = $1 AND revoked_at IS NULL FOR UPDATE",
          [row.session_id],
        );
        const userId = session.rows[0]?.user_id;
        if (!userId) return "invalid";
        if (row.used_at) {
          // Two tabs of one honest client refreshed at the same instant: this request was sent before the other one's answer was.
          if (arrived <= row.used_at) return "raced";
          await tx.query("UPDATE sessions SET revoked_at = $2 WHERE id = $1", [row.session_id, now]);
          await announce(tx, "user", userId);
          return { reusedBy: userId, user: undefined };
        }
        const user = (await findUser(tx, userId))!;
        checkMaySignIn(user, now.getTime());
        await tx.query("UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1", [hash, now]);
        await tx.query("UPDATE sessions SET ip = $2 WHERE id = $1", [row.session_id, device.ip]);
        return { user, sessionId: row.session_id, refreshToken: await issueRefreshToken(tx, row.session_id, now) };
      });
      if (outcome === "raced")
        throw appError("conflict", { message: "This refresh token is being used by another request", retryAfter: 1 });
      if (outcome !== "invalid" && outcome.user) return answer(outcome.user, outcome.sessionId, outcome.refreshToken);
      if (outcome !== "invalid") {
        changes.made("user", outcome.reusedBy);
        emit({ kind: "session.ended", user_id: outcome.reusedBy, ip: device.ip, reason: "token_reused", sessions: 1 });
      }
      throw appError("invalid_refresh_token");
    },

    revoke: async (userId, sessionId) => (await end(userId, { only: sessionId })) === 1,
    async revokeByToken(token) {
      const { rows } = await pool.query<{ id: string; user_id: string }>(
        "SELECT s.id, s.user_id FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = $1 AND s.revoked_at IS NULL",
        [sha256(token)],
      );
      return rows[0] !== undefined && (await end(rows[0].user_id, { only: rows[0].id })) === 1;
    },
    revokeAll: (userId, except) => end(userId, { except }),
  };
}
