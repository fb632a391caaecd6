import type { Settings } from "../../admin/settings/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { inTransaction, type Pool, type PoolClient } from "../../platform/postgres.ts";
import type { FindMember } from "../member.ts";
import type { Payouts } from "../payouts.ts";
import { referralSettings } from "../settings.ts";
import { stands, type TopUp } from "../topups.ts";
import { findPending, findReferral, lockReferral, saveReferral, takeOfMonth, type ReferralRow } from "./repository.ts";

export interface ReferralPayout {
  /** Decides the referral of whoever topped up: due, held for an operator, or refused. Once; answers its id when it is due. A refunded top-up decides nothing. */
  qualify(topUp: TopUp): Promise<string | undefined>;
  /** Pays a referral that is due, each side once, while its top-up stands. May stop anywhere and be called again. True when it did. */
  pay(id: string): Promise<boolean>;
}

export interface ReferralDeps {
  pool: Pool;
  settings: Settings;
  payouts: Payouts;
  member: FindMember;
  clock: Clock;
}

export function createReferralPayout(deps: ReferralDeps): ReferralPayout {
  const { pool, settings, payouts, member, clock } = deps;

  function paymentOf(row: ReferralRow, side: "referrer" | "referred") {
    return {
      id: `referral:${row.id}:${side}`,
      kind: side,
      userId: side === "referrer" ? row.referrer_id : row.referred_id,
      amount: side === "referrer" ? row.referrer_reward : row.referred_reward,
      at: clock.now(),
      description: side === "referrer" ? "Referral: somebody you brought topped up" : "Referral: your first top-up",
      reference: `referral:${row.id}`,
      expiresDays: row.expires_days,
    } as const;
  }

  /** Locks a referral that is due for a top-up that stands. The top-up first, as whoever undoes it does. */
  async function lockDue(tx: PoolClient, { id, order_no: orderNo, min_topup: least }: ReferralRow): Promise<ReferralRow | undefined> {
    if (!(await stands(tx, orderNo!, least))) return undefined;
    const row = await lockReferral(tx, id);
    return row?.status === "due" && row.order_no === orderNo ? row : undefined;
  }

  return {
    async qualify({ orderNo, userId, credits }) {
      const { enabled, referrer, referred, minTopUp, expiresDays } = await settings.read(referralSettings);
      if (credits < minTopUp) return undefined;
      const found = await findPending(pool, userId);
      if (!found) return undefined;
      const active = (await member(found.referrer_id))?.active === true;
      return inTransaction(pool, async (tx) => {
        if (!(await stands(tx, orderNo, minTopUp))) return undefined;
        const row = await lockReferral(tx, found.id);
        if (row?.status !== "pending") return undefined;
        const signals = active ? row.signals : [...row.signals, "referrer_not_active" as const];
        const status = !enabled ? "refused" : signals.length > 0 ? "held" : "due";
        await saveReferral(tx, {
          ...row,
          signals,
          status,
          reason: enabled ? null : "switched_off",
          order_no: orderNo,
          referrer_reward: referrer,
          referred_reward: referred,
          expires_days: expiresDays,
          min_topup: minTopUp,
          qualified_at: clock.now(),
        });
        return status === "due" ? row.id : undefined;
      });
    },

    // A transaction for each side: no transaction locks two wallets, whose order it could get wrong.
    async pay(id) {
      const found = await findReferral(pool, id);
      if (found?.status !== "due") return false;
      const { monthlyCap } = await settings.read(referralSettings);
      await payouts.run(async (tx, pay) => {
        const row = await lockDue(tx, found);
        if (row) await pay(paymentOf(row, "referred"));
      });
      return payouts.run(async (tx, pay) => {
        const row = await lockDue(tx, found);
        if (!row) return false;
        const now = clock.now();
        const within =
          row.referrer_reward === 0n || (await takeOfMonth(tx, row.referrer_id, `${now.toISOString().slice(0, 7)}-01`, monthlyCap));
        await saveReferral(tx, { ...row, status: "paid", capped: !within, paid_at: now });
        if (within) await pay(paymentOf(row, "referrer"));
        return true;
      });
    },
  };
}
