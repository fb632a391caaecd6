import type { Ledger } from "../ledger/index.ts";
import type { Notify } from "../notify/index.ts";
import { inTransaction, type Pool, type PoolClient } from "../platform/postgres.ts";
import type { Rewards } from "../rewards/index.ts";
import { claimUnproven, createUser, markVerified, takenFieldOf } from "./accounts.ts";
import { codeFor, codeHash, linkTokenFor, linkTokenHash } from "./codeHash.ts";
import { recordReferral, type ReferralClaim } from "./referredBy.ts";
import { findUserByEmail, lockUser, lockUserByEmail, type Locale } from "./users.ts";

export interface MailRequest {
  email: string;
  locale: Locale;
  /** Chosen by the workflow: a step that is retried makes the same code or link and queues the same mail. */
  sendId: string;
  ttlMs: number;
}

export type ActivationResult =
  | { kind: "activated"; userId: string }
  | { kind: "invalid" }
  | { kind: "taken"; field: string }
  | { kind: "already_registered" };

/** The steps of a registration that workflows call; each is idempotent. */
export interface RegistrationSteps {
  sendCode(request: MailRequest): Promise<{ kind: "code"; codeHash: string }>;
  sendLink(
    request: MailRequest & { registrationId: string; reason: "register" | "resend" },
  ): Promise<{ kind: "link" } | { kind: "nothing" }>;
  activateByCode(request: { email: string; registrationId: string }): Promise<ActivationResult>;
  activateByLink(request: { email: string; tokenHash: string }): Promise<ActivationResult>;
  grantWelcome(request: { userId: string }): Promise<void>;
}

interface Registration {
  id: string;
  user_id: string | null;
  username: string | null;
  password_hash: string | null;
  phone: string | null;
  locale: Locale;
  referral: ReferralClaim | null;
  activated_user_id: string | null;
}

const COLUMNS = "id, user_id, username, password_hash, phone, locale, referral, activated_user_id";

export function createRegistrationSteps(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "ensureWallet">;
  notify: Pick<Notify, "email">;
  rewards: Pick<Rewards, "welcome" | "referrals">;
  hashSecret: string;
  publicUrl: string;
}): RegistrationSteps {
  const { pool, ledger, notify, rewards, hashSecret } = deps;

  async function alreadyRegistered(request: MailRequest): Promise<boolean> {
    const user = await findUserByEmail(pool, request.email);
    if (!user?.email_verified) return false;
    const data = { username: user.username, url: deps.publicUrl };
    await notify.email({
      id: `already-registered-${request.sendId}`,
      to: request.email,
      locale: user.locale,
      template: "already_registered",
      data,
    });
    return true;
  }

  /** Makes this registration's account active. The row is locked and not activated yet. */
  async function activate(tx: PoolClient, email: string, registration: Registration): Promise<ActivationResult> {
    const found = registration.user_id ? await lockUser(tx, registration.user_id) : await lockUserByEmail(tx, email);
    if (found?.email_verified) return { kind: "already_registered" };
    let userId: string;
    const credentials = {
      username: registration.username ?? undefined,
      passwordHash: registration.password_hash,
      phone: registration.phone ?? undefined,
      locale: registration.locale,
    };
    const referral = registration.referral ?? undefined;
    if (!found) {
      userId = (await createUser(tx, ledger, { email, emailVerified: true, ...credentials })).id;
      await recordReferral(tx, rewards.referrals, { id: userId, email }, referral);
    } else {
      userId = found.id;
      if (registration.user_id) await markVerified(tx, userId);
      else {
        await claimUnproven(tx, found, credentials);
        await rewards.referrals.detach(tx, userId);
        await recordReferral(tx, rewards.referrals, { id: userId, email }, referral);
      }
    }
    await tx.query("UPDATE registrations SET activated_user_id = $2, password_hash = NULL WHERE id = $1", [registration.id, userId]);
    await tx.query("DELETE FROM registrations WHERE email = $1 AND id <> $2", [email, registration.id]);
    return { kind: "activated", userId };
  }

  /** Finds the registration, locked, and activates it once; the second time answers as the first. */
  async function activateOnce(email: string, condition: string, value: string): Promise<ActivationResult> {
    try {
      return await inTransaction(pool, async (tx) => {
        const { rows } = await tx.query<Registration>(`SELECT ${COLUMNS} FROM registrations WHERE email = $1 AND ${condition} FOR UPDATE`, [
          email,
          value,
        ]);
        const registration = rows[0];
        if (!registration) return { kind: "invalid" };
        if (registration.activated_user_id) return { kind: "activated", userId: registration.activated_user_id };
        return activate(tx, email, registration);
      });
    } catch (error) {
      const field = takenFieldOf(error);
      if (field === undefined) throw error;
      return { kind: "taken", field };
    }
  }

  return {
    async sendCode(request) {
      // No hash equals the empty one: for a known address every code is wrong, and counted like anybody's.
      if (await alreadyRegistered(request)) return { kind: "code", codeHash: "" };
      const code = codeFor(hashSecret, request.sendId);
      const data = { code, minutes: String(Math.max(1, Math.round(request.ttlMs / 60_000))), purpose: "register" };
      await notify.email({ id: `code-${request.sendId}`, to: request.email, locale: request.locale, template: "email_code", data });
      return { kind: "code", codeHash: codeHash(hashSecret, "register", request.email, code) };
    },

    async sendLink(request) {
      if (request.reason === "register" && (await alreadyRegistered(request))) return { kind: "nothing" };
      const token = linkTokenFor(hashSecret, request.sendId);
      const stored = await pool.query(
        `UPDATE registrations SET link_token_hash = $3, link_expires_at = now() + make_interval(secs => $4::float8 / 1000)
         WHERE id = $1 AND email = $2 AND activated_user_id IS NULL`,
        [request.registrationId, request.email, linkTokenHash(token), request.ttlMs],
      );
      if (stored.rowCount === 0) return { kind: "nothing" };
      const data = {
        link: `${deps.publicUrl}/api/user/verify-email?token=${token}`,
        hours: String(Math.max(1, Math.round(request.ttlMs / 3_600_000))),
      };
      await notify.email({ id: `verify-link-${request.sendId}`, to: request.email, locale: request.locale, template: "verify_link", data });
      return { kind: "link" };
    },

    activateByCode: ({ email, registrationId }) => activateOnce(email, "id = $2", registrationId),
    activateByLink: ({ email, tokenHash }) => activateOnce(email, "link_token_hash = $2 AND link_expires_at > now()", tokenHash),

    grantWelcome: ({ userId }) => rewards.welcome(userId),
  };
}
