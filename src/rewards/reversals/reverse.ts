import type { Settings } from "../../admin/settings/index.ts";
import { inTransaction, type Pool, type PoolClient } from "../../platform/postgres.ts";
import { claimsOfTopUp, regroundClaim } from "../campaign/repository.ts";
import { undoReferral } from "../referral/undo.ts";
import { referralSettings } from "../settings.ts";
import { lockRefunded, markReversed, standingTopUp, type TopUp } from "../topups.ts";
import { insertReversals } from "./repository.ts";

/** Decides once what becomes of the rewards of a refunded top-up. What is to be taken back is noted; taking it follows. */
export type Reverse = (topUp: TopUp) => Promise<void>;

export function createReverse({ pool, settings }: { pool: Pool; settings: Settings }): Reverse {
  /** Claims that nothing carries any more, by the ids of their payments. One that only needed some top-up may rest on another. */
  async function ungrounded(tx: PoolClient, orderNo: string): Promise<string[]> {
    const payments: string[] = [];
    for (const claim of await claimsOfTopUp(tx, orderNo)) {
      const { campaign_id, user_id: userId, no, for_topup, min_topup: least, starts_at: from, ends_at: to } = claim;
      const other = for_topup ? undefined : await standingTopUp(tx, { userId, least: least ?? 0n, from, to });
      if (other === undefined) payments.push(`campaign:${campaign_id}:${userId}:${no}`);
      else await regroundClaim(tx, claim, other);
    }
    return payments;
  }

  return async ({ orderNo }) => {
    const { minTopUp } = await settings.read(referralSettings);
    await inTransaction(pool, async (tx) => {
      // From here on nothing more is paid for it.
      if (!(await lockRefunded(tx, orderNo))) return;
      const payments = [...(await undoReferral(tx, orderNo, minTopUp)), ...(await ungrounded(tx, orderNo))];
      if (payments.length > 0) await insertReversals(tx, orderNo, payments);
      await markReversed(tx, orderNo);
    });
  };
}
