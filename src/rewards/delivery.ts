import type { Logger } from "../platform/logger.ts";
import type { Pool, PoolClient } from "../platform/postgres.ts";
import type { PayDues } from "./campaign/dues.ts";
import { noteDues } from "./campaign/repository.ts";
import type { ReferralPayout } from "./referral/payout.ts";
import { countPayTry, dueReferrals } from "./referral/repository.ts";
import { openReversals } from "./reversals/repository.ts";
import type { Reverse } from "./reversals/reverse.ts";
import type { TakeBack } from "./reversals/takeBack.ts";
import { markTopUp, noteRefund, noteTopUp, refundedTopUps, waitingTopUp, waitingTopUps, type TopUp } from "./topups.ts";

/** What top-ups lead to. */
export interface TopUpRewards {
  /** Notes a credited top-up; call it in the transaction that credits. */
  note(tx: PoolClient, topUp: Omit<TopUp, "completedAt">): Promise<void>;
  /**
   * Notes that so many of a top-up's credits were refunded, in micro-credits; call it once for each refund, in the transaction that takes them
   * back. A top-up whose order becomes `refunded` needs no note.
   */
  noteRefund(tx: PoolClient, orderNo: string, credits: bigint): Promise<void>;
  /** Pays what a noted top-up leads to, at once. Never rejects: what it could not do, {@link deliver} does. */
  follow(orderNo: string): Promise<void>;
  /** Pays everything that waits, and takes back what was paid for top-ups that were refunded. Safe to run at any time, twice, and on several workers: each payment is made once by its id. */
  deliver(onProgress?: (done: number) => void): Promise<Delivered>;
}

export interface Delivered {
  topUps: number;
  referrals: number;
  /** Rewards of refunded top-ups that were looked at: taken back, or what is left of them is held. */
  reversals: number;
  failed: number;
}

const BATCH = 200;

export function createTopUpRewards(deps: {
  pool: Pool;
  log: Logger;
  payout: ReferralPayout;
  payDues: PayDues;
  reverse: Reverse;
  takeBack: TakeBack;
}): TopUpRewards {
  const { pool, log, payout, payDues, reverse, takeBack } = deps;

  async function settle(topUp: TopUp): Promise<void> {
    const due = await payout.qualify(topUp);
    if (due !== undefined) await payout.pay(due);
    await payDues(topUp);
    await markTopUp(pool, topUp.orderNo, "done");
  }

  return {
    async note(tx, topUp) {
      if (await noteTopUp(tx, topUp)) await noteDues(tx, topUp.orderNo);
    },

    noteRefund,

    async follow(orderNo) {
      try {
        const topUp = await waitingTopUp(pool, orderNo);
        if (topUp) await settle(topUp);
      } catch (error) {
        log.warn({ err: error, order_no: orderNo }, "the rewards of a top-up are paid later");
      }
    },

    async deliver(onProgress) {
      const delivered: Delivered = { topUps: 0, referrals: 0, reversals: 0, failed: 0 };
      /** One that fails holds up no other. */
      async function attempt(work: () => Promise<void>, about: object): Promise<boolean> {
        try {
          await work();
          return true;
        } catch (error) {
          log.error({ err: error, ...about }, "a reward could not be paid; it is tried again");
          delivered.failed += 1;
          return false;
        } finally {
          onProgress?.(delivered.topUps + delivered.referrals + delivered.reversals + delivered.failed);
        }
      }

      // Refunds first: a referral that waits again is not paid.
      for (const topUp of await refundedTopUps(pool, BATCH)) {
        if (!(await attempt(() => reverse(topUp), { order_no: topUp.orderNo }))) await markTopUp(pool, topUp.orderNo, "failed");
      }
      for (const paymentId of await openReversals(pool, BATCH)) {
        if (await attempt(() => takeBack(paymentId), { payment: paymentId })) delivered.reversals += 1;
      }
      for (const topUp of await waitingTopUps(pool, BATCH)) {
        if (await attempt(() => settle(topUp), { order_no: topUp.orderNo })) delivered.topUps += 1;
        else await markTopUp(pool, topUp.orderNo, "failed");
      }
      for (const id of await dueReferrals(pool, BATCH)) {
        const pay = async () => {
          await countPayTry(pool, id);
          if (await payout.pay(id)) delivered.referrals += 1;
        };
        await attempt(pay, { referral: id });
      }
      return delivered;
    },
  };
}
