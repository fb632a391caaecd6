import type { Emit } from "../activity/index.ts";
import type { Ledger } from "../ledger/index.ts";
import { appError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import { inTransaction, type Pool, type Queryable } from "../platform/postgres.ts";
import { createUser, takenError } from "./accounts.ts";
import type { Changes } from "./changes.ts";
import { codeHash, linkTokenHash } from "./codeHash.ts";
import type { CodePurpose, EmailCodes } from "./emailCodes.ts";
import type { EmailSends } from "./emailSends.ts";
import { checkPassword, hashPassword } from "./password.ts";
import type { ReferralIntake } from "../rewards/index.ts";
import { checkReferralCode, recordReferral, type ReferralClaim } from "./referredBy.ts";
import type { RegistrationWorkflows } from "./registration.ts";
import { findUser, findUserByEmail, presentUser, takenField, type Locale, type UserRow, type UserView } from "./users.ts";

export interface SignUp {
  /** Mails a code, or something else to whom a code is of no use; the caller cannot tell. Throws `rate_limited`. */
  requestCode(request: {
    email: string;
    purpose: CodePurpose | "register";
    locale: Locale;
  }): Promise<{ expires_in: number; resend_after: number }>;
  /** Makes a verified account for whoever holds the mailed code. Throws `invalid_code`, or `conflict` naming a field. */
  byCode(request: {
    email: string;
    code: string;
    username?: string | undefined;
    password?: string | undefined;
    phone?: string | undefined;
    locale: Locale;
    referral?: ReferralClaim | undefined;
  }): Promise<UserRow>;
  /** Makes an account that is not verified yet and mails a link. A known address gets the same answer, and a mail that says so. */
  byLink(request: {
    email: string;
    username: string;
    password: string;
    phone?: string | undefined;
    locale: Locale;
    referral?: ReferralClaim | undefined;
  }): Promise<UserView>;
  /** Mails the link again; the same answer whatever the address is. Throws `rate_limited`. */
  resendLink(request: { email: string; locale: Locale }): Promise<{ resend_after: number }>;
  /** Uses up a link's token. Throws `invalid_token`. */
  verifyEmail(token: string): Promise<UserRow>;
}

/** Registrations that led nowhere are forgotten after this, together with the password hashes in them. */
const FORGET_AFTER = "3 days";

async function storeRegistration(
  db: Queryable,
  row: {
    id: string;
    email: string;
    userId?: string;
    username?: string | undefined;
    passwordHash?: string | null;
    phone?: string | undefined;
    locale: Locale;
    referral?: ReferralClaim | undefined;
  },
): Promise<void> {
  const { id, email, userId, username, passwordHash, phone, locale, referral } = row;
  await db.query(
    `INSERT INTO registrations (id, email, user_id, username, password_hash, phone, locale, referral)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [id, email, userId ?? null, username ?? null, passwordHash ?? null, phone ?? null, locale, referral ? JSON.stringify(referral) : null],
  );
  await db.query("DELETE FROM registrations WHERE id IN (SELECT id FROM registrations WHERE created_at < now() - $1::interval LIMIT 10)", [
    FORGET_AFTER,
  ]);
}

export function createSignUp(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "ensureWallet">;
  codes: EmailCodes;
  sends: EmailSends;
  workflows: RegistrationWorkflows;
  changes: Changes;
  emit: Emit;
  referrals: ReferralIntake;
  hashSecret: string;
  codeTtlMs: number;
  resendAfterMs: number;
}): SignUp {
  const { pool, ledger, codes, sends, workflows, emit, referrals } = deps;
  const resendAfter = Math.ceil(deps.resendAfterMs / 1_000);

  /** Sends after taking one of the address's sends; gives it back when nothing could be sent. */
  async function withSend(email: string, kind: string, send: () => Promise<void>): Promise<void> {
    const giveBack = await sends.claim(email, kind);
    try {
      await send();
    } catch (error) {
      await giveBack();
      throw error;
    }
  }

  /** Names that belong to the unproven account of this very address are free for whoever proves it. */
  async function refuseTaken(email: string, names: { username?: string | undefined; phone?: string | undefined }): Promise<void> {
    const own = await findUserByEmail(pool, email);
    const taken = await takenField(pool, names, own && !own.email_verified ? own.id : undefined);
    if (taken) throw takenError(taken);
  }

  return {
    async requestCode({ email, purpose, locale }) {
      await withSend(email, `code:${purpose}`, () =>
        purpose === "register" ? workflows.resend(email, { kind: "code", locale }) : codes.send({ email, purpose, locale }),
      );
      return { expires_in: Math.round(deps.codeTtlMs / 1_000), resend_after: resendAfter };
    },

    async byCode({ email, code, username, password, phone, locale, referral }) {
      if (password !== undefined) checkPassword(password, { email, names: [username] });
      await checkReferralCode(pool, referrals, referral);
      await refuseTaken(email, { username, phone });
      const id = uuidv7();
      const passwordHash = password === undefined ? null : await hashPassword(password);
      await storeRegistration(pool, { id, email, username, passwordHash, phone, locale, referral });
      const submission = { kind: "code" as const, codeHash: codeHash(deps.hashSecret, "register", email, code), registrationId: id };
      const outcome = await workflows.submitCode(email, submission);
      if (outcome?.kind === "activated") {
        deps.changes.made("user", outcome.userId);
        emit({ kind: "user.registered", user_id: outcome.userId, method: "code" });
        return (await findUser(pool, outcome.userId))!;
      }
      await pool.query("DELETE FROM registrations WHERE id = $1 AND activated_user_id IS NULL", [id]);
      if (outcome?.kind === "taken") throw takenError(outcome.field);
      // Whoever holds the right code has proven the address, and may know that it has an account.
      if (outcome?.kind === "already_registered") throw takenError("email");
      throw appError("invalid_code");
    },

    async byLink({ email, username, password, phone, locale, referral }) {
      checkPassword(password, { email, names: [username] });
      await checkReferralCode(pool, referrals, referral);
      await refuseTaken(email, { username, phone });
      const passwordHash = await hashPassword(password);
      const id = uuidv7();
      let shown: UserView | undefined;
      let madeId: string | undefined;
      await withSend(email, "link", async () => {
        shown = await inTransaction(pool, async (tx) => {
          const known = await findUserByEmail(tx, email);
          if (!known) {
            const user = await createUser(tx, ledger, { email, emailVerified: false, username, passwordHash, phone, locale });
            await storeRegistration(tx, { id, email, userId: user.id, locale });
            await recordReferral(tx, referrals, user, referral);
            madeId = user.id;
            return presentUser(user);
          }
          if (!known.email_verified) await storeRegistration(tx, { id, email, username, passwordHash, phone, locale, referral });
          return unknownUser({ email, username, phone, locale });
        });
        if (madeId !== undefined) emit({ kind: "user.registered", user_id: madeId, method: "link" });
        await workflows.resend(email, { kind: "link", locale, registrationId: id, reason: "register" });
      });
      return shown!;
    },

    async resendLink({ email, locale }) {
      await withSend(email, "link", async () => {
        const id = uuidv7();
        const known = await findUserByEmail(pool, email);
        if (known && !known.email_verified) await storeRegistration(pool, { id, email, userId: known.id, locale: known.locale });
        await workflows.resend(email, { kind: "link", locale: known?.locale ?? locale, registrationId: id, reason: "resend" });
      });
      return { resend_after: resendAfter };
    },

    async verifyEmail(token) {
      const tokenHash = linkTokenHash(token);
      const { rows } = await pool.query<{ email: string }>(
        "SELECT email FROM registrations WHERE link_token_hash = $1 AND link_expires_at > now() AND activated_user_id IS NULL",
        [tokenHash],
      );
      const outcome = rows[0] && (await workflows.submitLink(rows[0].email, { kind: "link", tokenHash }));
      if (outcome?.kind === "taken") throw takenError(outcome.field);
      if (outcome?.kind !== "activated") throw appError("invalid_token");
      deps.changes.made("user", outcome.userId);
      emit({ kind: "user.verified", user_id: outcome.userId });
      return (await findUser(pool, outcome.userId))!;
    },
  };
}

/** What a new account would look like: the answer for an address that has one already. */
function unknownUser(wanted: { email: string; username: string; phone: string | undefined; locale: Locale }): UserView {
  return presentUser({
    id: uuidv7(),
    email: wanted.email,
    username: wanted.username,
    phone: wanted.phone ?? null,
    display_name: null,
    email_verified: false,
    roles: ["user"],
    status: "active",
    suspended_until: null,
    tier: "free",
    limits: {},
    locale: wanted.locale,
    time_zone: "Asia/Shanghai",
    created_at: new Date(),
    last_sign_in_at: null,
  });
}
