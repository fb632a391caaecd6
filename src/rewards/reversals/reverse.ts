import { inTransaction, type Pool, type PoolClient } from "../../platform/postgres.ts";
import { claimsOfTopUp, regroundClaim } from "../campaign/repository.ts";
import { undoReferral } from "../referral/undo.ts";
import { lockRefunded, lockTopUpsOf, markReversed, standingTopUp, stands, type TopUp } from "../topups.ts";
import { insertReversals } from "./repository.ts";

/**
 * Decides what becomes of the rewards of a top-up that was refunded, in full or in part: once after each refund. What is to be taken back is
 * noted; taking it follows.
 */
export type Reverse = (topUp: TopUp) => Promise<void>;

export function createReverse({ pool }: { pool: Pool }): Reverse {
  /**
   * Claims that nothing carries any more, by the ids of their payments. What is left of the top-up may, if it is large enough, and for one that
   * only needed some top-up another.
   */
  async function ungrounded(tx: PoolClient, orderNo: string): Promise<string[]> {
    const payments: string[] = [];
    for (const claim of await claimsOfTopUp(tx, orderNo)) {
      const { campaign_id, user_id: userId, no, for_topup, min_topup: least, starts_at: from, ends_at: to } = claim;
      if (await stands(tx, orderNo, least)) continue;
      const other = for_topup ? undefined : await standingTopUp(tx, { userId, least, from, to });
      if (other === undefined) payments.push(`campaign:${campaign_id}:${userId}:${no}`);
      else await regroundClaim(tx, claim, other);
    }
    return payments;
  }

  return ({ orderNo, userId }) =>
    inTransaction(pool, async (tx) => {
      // Two at once would each wait for the other's top-up.
      await lockTopUpsOf(tx, userId);
      // From here on nothing more is paid for it.
      if (!(await lockRefunded(tx, orderNo))) return;
      const payments = [...(await undoReferral(tx, orderNo)), ...(await ungrounded(tx, orderNo))];
      if (payments.length > 0) await insertReversals(tx, orderNo, payments);
      await markReversed(tx, orderNo);
    });
}
