import type { PoolClient } from "../../platform/postgres.ts";
import { standingTopUp } from "../topups.ts";
import { lockReferralOf, saveReferral, type ReferralRow } from "./repository.ts";

/** A referral that nothing has come of yet. */
const waiting = (row: ReferralRow): ReferralRow => ({
  ...row,
  status: "pending",
  signals: row.signals.filter((signal) => signal !== "referrer_not_active"),
  order_no: null,
  referrer_reward: 0n,
  referred_reward: 0n,
  expires_days: 0,
  min_topup: 0n,
  qualified_at: null,
  reviewed_by: null,
  review_reason: null,
});

/**
 * Decides what becomes of the referral of a refunded top-up, whose row the caller has locked: what is left of it, or another top-up of the
 * person that stands, carries it if it buys what was asked for when it was decided; without one the referral waits again or, when a side was
 * paid, is reversed for good. Answers the payments that are without ground then.
 */
export async function undoReferral(tx: PoolClient, orderNo: string): Promise<string[]> {
  const row = await lockReferralOf(tx, orderNo);
  if (!row || row.status === "refused" || row.status === "reversed") return [];
  const other = await standingTopUp(tx, { userId: row.referred_id, least: row.min_topup });
  if (other !== undefined) {
    await saveReferral(tx, { ...row, order_no: other });
    return [];
  }
  const { rows } = await tx.query<{ id: string }>("SELECT id FROM reward_payments WHERE id = ANY ($1) ORDER BY id", [
    [`referral:${row.id}:referred`, `referral:${row.id}:referrer`],
  ]);
  await saveReferral(tx, rows.length === 0 ? waiting(row) : { ...row, status: "reversed" });
  return rows.map(({ id }) => id);
}
