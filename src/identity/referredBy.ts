import { fieldError } from "../platform/errors.ts";
import type { Queryable } from "../platform/postgres.ts";
import type { ReferralIntake } from "../rewards/index.ts";
import type { Device } from "./sessions.ts";
import { findUser } from "./users.ts";

/** What somebody said at registration about who brought him, and where he was seen then. */
export interface ReferralClaim {
  code: string;
  ip: string;
  userAgent: string | null;
}

/** The claim of a registration, if it names a code. */
export function claimOf(code: string | undefined, device: Device): ReferralClaim | undefined {
  return code === undefined ? undefined : { code, ip: device.ip, userAgent: device.userAgent?.slice(0, 300) ?? null };
}

/** Throws `validation_failed` for a code that nobody has, before anything is used up. */
export async function checkReferralCode(db: Queryable, referrals: ReferralIntake, claim: ReferralClaim | undefined): Promise<void> {
  if (claim && (await referrals.ownerOf(db, claim.code)) === undefined) throw fieldError("referral_code", "is not a referral code");
}

/** Where a referrer was seen lately is looked at this far back. */
const SEEN_WITHIN = "90 days";
const MOST_DEVICES = 100;

/** Records who brought a new account, in the transaction that makes it. Refuses nothing: what is wrong with it, rewards decide. */
export async function recordReferral(
  tx: Queryable,
  referrals: ReferralIntake,
  user: { id: string; email: string },
  claim: ReferralClaim | undefined,
): Promise<void> {
  const referrerId = claim && (await referrals.ownerOf(tx, claim.code));
  const referrer = referrerId && (await findUser(tx, referrerId));
  if (!claim || !referrer) return;
  const { rows } = await tx.query<{ ip: string | null; user_agent: string | null }>(
    `SELECT DISTINCT ip, user_agent FROM sessions WHERE user_id = $1 AND last_used_at > now() - $2::interval LIMIT $3`,
    [referrer.id, SEEN_WITHIN, MOST_DEVICES],
  );
  await referrals.attach(tx, {
    code: claim.code,
    referrer: { id: referrer.id, email: referrer.email, devices: rows.map((row) => ({ ip: row.ip ?? "", userAgent: row.user_agent })) },
    referred: { ...user, devices: [{ ip: claim.ip, userAgent: claim.userAgent }] },
  });
}
