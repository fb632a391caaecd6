import type { Ledger } from "../ledger/index.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { claimUnproven, createUser } from "./accounts.ts";
import { checkPassword, hashPassword } from "./password.ts";
import { findUserByEmail, lockUserByEmail } from "./users.ts";

/** Any number: copies that start together make the first operator once. */
const FIRST_ADMIN_LOCK = 7_266_004;

/**
 * Makes sure that this address has an account with the role admin; run at each start. An account that exists keeps its password,
 * unless nobody ever proved its address. Throws `validation_failed` for a weak password.
 */
export async function ensureAdmin(
  deps: { pool: Pool; ledger: Pick<Ledger, "ensureWallet"> },
  admin: { email: string; password: string },
): Promise<"created" | "replaced" | "promoted" | "unchanged"> {
  const email = admin.email.toLowerCase();
  const known = await findUserByEmail(deps.pool, email);
  if (known?.email_verified && known.roles.includes("admin")) return "unchanged";
  checkPassword(admin.password, { email, names: [] }, "ADMIN_PASSWORD");
  const passwordHash = await hashPassword(admin.password);
  return inTransaction(deps.pool, async (tx) => {
    await tx.query("SELECT pg_advisory_xact_lock($1)", [FIRST_ADMIN_LOCK]);
    const user = await lockUserByEmail(tx, email);
    if (!user) {
      await createUser(tx, deps.ledger, { email, emailVerified: true, passwordHash, roles: ["user", "admin"] });
      return "created";
    }
    if (user.email_verified && user.roles.includes("admin")) return "unchanged";
    if (!user.email_verified) await claimUnproven(tx, user, { passwordHash, locale: user.locale });
    await tx.query("UPDATE users SET roles = array(SELECT DISTINCT unnest(roles || '{admin}'::text[])), updated_at = now() WHERE id = $1", [
      user.id,
    ]);
    await announce(tx, "user", user.id);
    return user.email_verified ? "promoted" : "replaced";
  });
}
