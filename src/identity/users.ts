import type { Role } from "../http/principal.ts";
import type { Queryable } from "../platform/postgres.ts";
import type { Limits } from "../quotas/index.ts";
import { readIdentifier } from "./names.ts";
import { statusAt, type UserStatus } from "./status.ts";

export type Locale = "en" | "zh-CN";

export interface UserRow {
  id: string;
  email: string;
  username: string;
  phone: string | null;
  password_hash: string | null;
  email_verified: boolean;
  display_name: string | null;
  locale: Locale;
  time_zone: string;
  roles: Role[];
  status: UserStatus;
  suspended_until: Date | null;
  tier: string;
  limits: Limits;
  wallet_id: bigint;
  created_at: Date;
  updated_at: Date;
  last_sign_in_at: Date | null;
}

/** A user as shown to himself and to operators. */
export interface UserView {
  id: string;
  email: string;
  username: string;
  phone: string | null;
  display_name: string | null;
  email_verified: boolean;
  roles: Role[];
  status: UserStatus;
  suspended_until: string | null;
  tier: string;
  limits: Limits;
  locale: Locale;
  time_zone: string;
  created_at: string;
  last_sign_in_at: string | null;
}

/** The public form of a row; a suspension that has ended shows as active. */
export function presentUser(row: Omit<UserRow, "wallet_id" | "password_hash" | "updated_at">, now = Date.now()): UserView {
  const status = statusAt(row.status, row.suspended_until, now);
  return {
    id: row.id,
    email: row.email,
    username: row.username,
    phone: row.phone,
    display_name: row.display_name,
    email_verified: row.email_verified,
    roles: row.roles,
    status,
    suspended_until: status === "suspended" ? (row.suspended_until?.toISOString() ?? null) : null,
    tier: row.tier,
    limits: row.limits,
    locale: row.locale,
    time_zone: row.time_zone,
    created_at: row.created_at.toISOString(),
    last_sign_in_at: row.last_sign_in_at?.toISOString() ?? null,
  };
}

const COLUMNS = `id, email, username, phone, password_hash, email_verified, display_name, locale, time_zone, roles, status, suspended_until,
  tier, limits, wallet_id, created_at, updated_at, last_sign_in_at`;

async function one(db: Queryable, condition: string, values: unknown[]): Promise<UserRow | undefined> {
  const { rows } = await db.query<UserRow>(`SELECT ${COLUMNS} FROM users WHERE ${condition}`, values);
  return rows[0];
}

export const findUser = (db: Queryable, id: string) => one(db, "id = $1", [id]);
export const findUserByEmail = (db: Queryable, email: string) => one(db, "email = $1", [email]);
/** The same, locked until the transaction ends. */
export const lockUser = (db: Queryable, id: string) => one(db, "id = $1 FOR UPDATE", [id]);
export const lockUserByEmail = (db: Queryable, email: string) => one(db, "email = $1 FOR UPDATE", [email]);

/** Somebody by e-mail address, phone number or username, whichever the text is. */
export function findUserByIdentifier(db: Queryable, text: string): Promise<UserRow | undefined> {
  const { column, value } = readIdentifier(text);
  if (column === "username") return one(db, "lower(username) = $1", [value]);
  return one(db, column === "email" ? "email = $1" : "phone = $1", [value]);
}

/** Which of these already belongs to somebody else, if any. */
export async function takenField(
  db: Queryable,
  wanted: { email?: string; username?: string | undefined; phone?: string | undefined },
  except?: string,
): Promise<"email" | "username" | "phone" | undefined> {
  const { rows } = await db.query<{ email: boolean; username: boolean; phone: boolean }>(
    `SELECT coalesce(bool_or(email = $1), false) AS email, coalesce(bool_or(lower(username) = lower($2)), false) AS username,
            coalesce(bool_or(phone = $3), false) AS phone
     FROM users WHERE (email = $1 OR lower(username) = lower($2) OR phone = $3) AND id IS DISTINCT FROM $4`,
    [wanted.email ?? null, wanted.username ?? null, wanted.phone ?? null, except ?? null],
  );
  const taken = rows[0];
  return taken?.email ? "email" : taken?.username ? "username" : taken?.phone ? "phone" : undefined;
}
