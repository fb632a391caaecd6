import { recordAudit } from "../../admin/audit.ts";
import { appError } from "../../platform/errors.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import type { ReferralPayout } from "./payout.ts";
import { findReferral, lockReferral, saveReferral, type ReferralRow } from "./repository.ts";

/** Decides a referral that is held. Throws `not_found`, or `invalid_state` for one that is not held, or to be paid for a refunded top-up. */
export type ReviewReferral = (
  actor: { userId: string; traceId: string },
  id: string,
  request: { decision: "pay" | "refuse"; reason: string },
) => Promise<ReferralRow>;

/** The decision and its audit entry are one transaction. What is to be paid follows at once, and by the schedule should this process die. */
export function createReview(deps: { pool: Pool; payout: Pick<ReferralPayout, "pay"> }): ReviewReferral {
  const { pool, payout } = deps;
  return async (actor, id, { decision, reason }) => {
    await inTransaction(pool, async (tx) => {
      const row = await lockReferral(tx, id);
      if (!row) throw appError("not_found", { message: "There is no such referral" });
      if (row.status !== "held") throw appError("invalid_state", { message: `The referral is ${row.status}, not held` });
      if (decision === "pay" && row.topup_refunded_at)
        throw appError("invalid_state", { message: "Its top-up was refunded: it waits for the next one" });
      const outcome = decision === "pay" ? { status: "due" as const } : { status: "refused" as const, reason: "reviewed" };
      await saveReferral(tx, { ...row, ...outcome, reviewed_by: actor.userId, review_reason: reason });
      const details = { decision, reason, signals: row.signals };
      await recordAudit(tx, {
        actorId: actor.userId,
        action: "referral.review",
        target: `referral:${id}`,
        details,
        traceId: actor.traceId,
      });
    });
    if (decision === "pay") await payout.pay(id);
    return (await findReferral(pool, id))!;
  };
}
