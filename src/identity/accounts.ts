import type { Role } from "../http/principal.ts";
import type { Ledger } from "../ledger/index.ts";
import { AppError, appError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import { announce } from "../platform/invalidation.ts";
import type { Queryable } from "../platform/postgres.ts";
import type { Limits } from "../quotas/index.ts";
import { suggestUsername } from "./names.ts";
import { findUser, takenField, type Locale, type UserRow } from "./users.ts";

export interface NewUser {
  email: string;
  emailVerified: boolean;
  /** Derived from the address when absent. */
  username?: string | undefined;
  passwordHash?: string | null | undefined;
  phone?: string | undefined;
  displayName?: string | undefined;
  locale?: Locale | undefined;
  roles?: Role[] | undefined;
  tier?: string | undefined;
  limits?: Limits | undefined;
}

const DERIVE_ATTEMPTS = 20;

/** 409 that names the field somebody else has. */
export function takenError(field: string): AppError {
  return appError("conflict", { message: `${field}: is taken`, details: [{ field, message: "is taken" }] });
}

/** The field of a {@link takenError}, undefined for any other error. */
export function takenFieldOf(error: unknown): string | undefined {
  if (!(error instanceof AppError) || error.code !== "conflict") return undefined;
  return (error.details as { field?: string }[] | undefined)?.[0]?.field;
}

/** Creates somebody with a wallet, inside the caller's transaction. Throws `conflict` naming the field that is taken. */
export async function createUser(tx: Queryable, ledger: Pick<Ledger, "ensureWallet">, user: NewUser): Promise<UserRow> {
  const id = uuidv7();
  const walletId = await ledger.ensureWallet(tx, { type: "user", id });
  for (let attempt = 0; attempt < DERIVE_ATTEMPTS; attempt += 1) {
    const username = user.username ?? suggestUsername(user.email, attempt);
    const inserted = await tx.query(
      `INSERT INTO users (id, email, username, phone, password_hash, email_verified, display_name, locale, roles, tier, limits, wallet_id)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, quota_start_tier()), $11, $12) ON CONFLICT DO NOTHING`,
      [
        id,
        user.email,
        username,
        user.phone ?? null,
        user.passwordHash ?? null,
        user.emailVerified,
        user.displayName ?? null,
        user.locale ?? "en",
        user.roles ?? ["user"],
        user.tier ?? null,
        JSON.stringify(user.limits ?? {}),
        walletId,
      ],
    );
    if (inserted.rowCount === 1) return (await findUser(tx, id))!;
    const taken = await takenField(tx, { email: user.email, username, phone: user.phone });
    if (taken !== undefined && (taken !== "username" || user.username !== undefined)) throw takenError(taken);
  }
  throw takenError("username");
}

/** Marks the address of an account as proven. */
export async function markVerified(tx: Queryable, userId: string): Promise<void> {
  await tx.query("UPDATE users SET email_verified = true, updated_at = now() WHERE id = $1", [userId]);
  await announce(tx, "user", userId);
}

/**
 * Hands an account whose address was never proven to the person who proves it: the earlier credentials are replaced and every
 * session ends, so that nobody can wait inside an account for its rightful owner. Throws `conflict` naming the field that is taken.
 */
export async function claimUnproven(
  tx: Queryable,
  user: UserRow,
  owner: { username?: string | undefined; passwordHash: string | null; phone?: string | undefined; locale: Locale },
): Promise<void> {
  const username = owner.username ?? (await freeUsername(tx, user));
  const taken = await takenField(tx, { username, phone: owner.phone }, user.id);
  if (taken) throw takenError(taken);
  await tx.query(
    `UPDATE users SET username = $2, password_hash = $3, phone = $4, locale = $5, display_name = NULL, email_verified = true, updated_at = now()
     WHERE id = $1`,
    [user.id, username, owner.passwordHash, owner.phone ?? null, owner.locale],
  );
  await tx.query("UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL", [user.id]);
  await announce(tx, "user", user.id);
}

/** A derived username that nobody else has. */
async function freeUsername(tx: Queryable, user: UserRow): Promise<string> {
  for (let attempt = 0; attempt < DERIVE_ATTEMPTS; attempt += 1) {
    const username = suggestUsername(user.email, attempt);
    if ((await takenField(tx, { username }, user.id)) === undefined) return username;
  }
  throw takenError("username");
}
