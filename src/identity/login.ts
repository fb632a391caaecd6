import type { Pool } from "../platform/postgres.ts";
import { sha256 } from "../platform/secrets.ts";
import type { EmailCodes } from "./emailCodes.ts";
import type { Lockout } from "./lockout.ts";
import { PASSWORD_MAX, verifyPassword } from "./password.ts";
import { findUserByEmail, findUserByIdentifier, type UserRow } from "./users.ts";

export interface Login {
  /** The user whose password this is, or undefined; takes the same time for unknown names. Throws `too_many_attempts`. */
  byPassword(identifier: string, password: string, ip: string): Promise<UserRow | undefined>;
  /** The verified user who was mailed this code, or undefined; a right code is used up. Throws `too_many_attempts`. */
  byCode(email: string, code: string, ip: string): Promise<UserRow | undefined>;
}

/** The longest name is an e-mail address (RFC 5321). */
const IDENTIFIER_MAX = 254;

export function createLogin(deps: { pool: Pool; lockout: Lockout; codes: EmailCodes }): Login {
  const { pool, lockout, codes } = deps;
  return {
    async byPassword(identifier, password, ip) {
      if (identifier.length > IDENTIFIER_MAX || identifier.includes("\0") || password.length > PASSWORD_MAX) return undefined;
      const user = await findUserByIdentifier(pool, identifier);
      const account = user?.id ?? sha256(identifier.trim().toLowerCase());
      const proven = await lockout.attempt({ account, ip }, () => verifyPassword(user?.password_hash, password));
      return proven && user && user.status !== "closed" ? user : undefined;
    },

    async byCode(email, code, ip) {
      const user = await findUserByEmail(pool, email);
      const proven = await lockout.attempt({ account: `code ${sha256(email)}`, ip }, () => codes.use({ email, purpose: "login", code }));
      return proven && user?.email_verified && user.status !== "closed" ? user : undefined;
    },
  };
}
