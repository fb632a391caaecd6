import type { Clock } from "../../platform/clock.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { FindMember, Member } from "../member.ts";
import type { Payouts } from "../payouts.ts";
import { stands, type TopUp } from "../topups.ts";
import { countClaims, duesOf, insertClaim, lockCampaign, takeDue, takeEarned } from "./repository.ts";
import { unmetBy, type Due } from "./rules.ts";

/**
 * Pays a top-up what the campaigns that ran when it was completed owe it, each once, by the terms of that moment. One that was refunded so that
 * too little is left, or whose buyer is not active or does not meet a condition, is paid nothing, nor is one that the budget no longer covers.
 */
export type PayDues = (topUp: TopUp) => Promise<void>;

export function createPayDues(deps: { pool: Pool; payouts: Payouts; member: FindMember; clock: Clock }): PayDues {
  const { pool, payouts, member: find, clock } = deps;

  /** Decided and paid in one transaction. The campaign is locked, so that the count of a person's claims is exact. */
  function decide(due: Due, member: Member | undefined, { orderNo, userId, completedAt }: TopUp): Promise<void> {
    return payouts.run(async (tx, pay) => {
      const standing = await stands(tx, orderNo, due.min_topup);
      if (!(await takeDue(tx, due)) || !standing || !member?.active) return;
      const campaign = (await lockCampaign(tx, due.campaign_id))!;
      const claims = await countClaims(tx, due.campaign_id, userId);
      if (unmetBy(due, { at: completedAt, member, claims })) return;
      if (!(await takeEarned(tx, due.campaign_id, due.reward))) return;
      const no = claims + 1;
      const now = clock.now();
      await insertClaim(tx, {
        campaign_id: due.campaign_id,
        user_id: userId,
        no,
        amount: due.reward,
        order_no: orderNo,
        created_at: now,
        request_key: null,
        topup_no: null,
        min_topup: due.min_topup,
      });
      await pay({
        id: `campaign:${due.campaign_id}:${userId}:${no}`,
        kind: "campaign",
        userId,
        amount: due.reward,
        at: now,
        description: `Campaign: ${campaign.name}`,
        reference: `campaign:${campaign.code}`,
        expiresDays: due.expires_days,
      });
    });
  }

  return async (topUp) => {
    const dues = await duesOf(pool, topUp.orderNo);
    if (dues.length === 0) return;
    const member = await find(topUp.userId);
    for (const due of dues) await decide(due, member, topUp);
  };
}
