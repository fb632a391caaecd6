import { AppError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { sha256 } from "../platform/secrets.ts";
import type { EmailCodes } from "./emailCodes.ts";
import type { Lockout } from "./lockout.ts";
import type { LoginMetrics } from "./metrics.ts";
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

export function createLogin(deps: { pool: Pool; lockout: Lockout; codes: EmailCodes; metrics: LoginMetrics }): Login {
  const { pool, lockout, codes, metrics } = deps;

  /** Every attempt is counted once, however it ends; one that cannot be judged (Postgres is away) is none. */
  async function counting(work: () => Promise<UserRow | undefined>): Promise<UserRow | undefined> {
    try {
      const user = await work();
      const welcome = user && statusAt(user.status, user.suspended_until, Date.now()) === "active";
      metrics.attempt(welcome ? "success" : "failure");
      return user;
    } catch (error) {
      if (error instanceof AppError && error.code === "too_many_attempts") {
        metrics.locked();
        metrics.attempt("failure");
      }
      throw error;
    }
  }

  async function byPassword(identifier: string, password: string, ip: string): Promise<UserRow | undefined> {
    if (identifier.length > IDENTIFIER_MAX || identifier.includes("\0") || password.length > PASSWORD_MAX) return undefined;
    const user = await findUserByIdentifier(pool, identifier);
    const account = user?.id ?? sha256(identifier.trim().toLowerCase());
    const proven = await lockout.attempt({ account, ip }, () => verifyPassword(user?.password_hash, password));
    return proven && user && user.status !== "closed" ? user : undefined;
  }

  async function byCode(email: string, code: string, ip: string): Promise<UserRow | undefined> {
    const user = await findUserByEmail(pool, email);
    const proven = await lockout.attempt({ account: `code ${sha256(email)}`, ip }, () => codes.use({ email, purpose: "login", code }));
    return proven && user?.email_verified && user.status !== "closed" ? user : undefined;
  }

  return {
    byPassword: (identifier, password, ip) => counting(() => byPassword(identifier, password, ip)),
    byCode: (email, code, ip) => counting(() => byCode(email, code, ip)),
  };
}
