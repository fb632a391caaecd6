import type { Emit } from "../activity/index.ts";
import { AppError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { sha256 } from "../platform/secrets.ts";
import type { EmailCodes } from "./emailCodes.ts";
import type { Lockout } from "./lockout.ts";
import { PASSWORD_MAX, verifyPassword } from "./password.ts";
import { statusAt } from "./status.ts";
import { findUserByEmail, findUserByIdentifier, type UserRow } from "./users.ts";

export interface Login {
  /** The user whose password this is, or undefined; takes the same time for unknown names. Throws `too_many_attempts`. */
  byPassword(identifier: string, password: string, ip: string): Promise<UserRow | undefined>;
  /** The verified user who was mailed this code, or undefined; a right code is used up. Throws `too_many_attempts`. */
  byCode(email: string, code: string, ip: string): Promise<UserRow | undefined>;
}

/** The longest name is an e-mail address (RFC 5321). */
const IDENTIFIER_MAX = 254;

/** Whose account an attempt is about; it is known also when the attempt fails. */
interface Attempt {
  userId: string | null;
}

export function createLogin(deps: { pool: Pool; lockout: Lockout; codes: EmailCodes; emit: Emit }): Login {
  const { pool, lockout, codes, emit } = deps;

  /** Every attempt is told once, however it ends; one that cannot be judged (Postgres is away) is none. */
  async function telling(
    method: "password" | "code",
    ip: string,
    work: (attempt: Attempt) => Promise<UserRow | undefined>,
  ): Promise<UserRow | undefined> {
    const attempt: Attempt = { userId: null };
    const tell = (result: "success" | "failure", reason: "wrong_credentials" | "locked" | "suspended" | null): void =>
      emit({ kind: "sign_in", user_id: attempt.userId, ip, result, method, reason });
    try {
      const user = await work(attempt);
      if (!user) tell("failure", "wrong_credentials");
      else if (statusAt(user.status, user.suspended_until, Date.now()) === "active") tell("success", null);
      else tell("failure", "suspended");
      return user;
    } catch (error) {
      if (error instanceof AppError && error.code === "too_many_attempts") tell("failure", "locked");
      throw error;
    }
  }

  async function byPassword(attempt: Attempt, identifier: string, password: string, ip: string): Promise<UserRow | undefined> {
    if (identifier.length > IDENTIFIER_MAX || identifier.includes("\0") || password.length > PASSWORD_MAX) return undefined;
    const user = await findUserByIdentifier(pool, identifier);
    attempt.userId = user?.id ?? null;
    const account = user?.id ?? sha256(identifier.trim().toLowerCase());
    const proven = await lockout.attempt({ account, userId: user?.id, ip }, () => verifyPassword(user?.password_hash, password));
    return proven && user && user.status !== "closed" ? user : undefined;
  }

  async function byCode(attempt: Attempt, email: string, code: string, ip: string): Promise<UserRow | undefined> {
    const user = await findUserByEmail(pool, email);
    attempt.userId = user?.id ?? null;
    const proven = await lockout.attempt({ account: `code ${sha256(email)}`, ip }, () => codes.use({ email, purpose: "login", code }));
    return proven && user?.email_verified && user.status !== "closed" ? user : undefined;
  }

  return {
    byPassword: (identifier, password, ip) => telling("password", ip, (attempt) => byPassword(attempt, identifier, password, ip)),
    byCode: (email, code, ip) => telling("code", ip, (attempt) => byCode(attempt, email, code, ip)),
  };
}
