import { createPlanAdmin } from "../../../src/quotas/plans/admin.ts";
import type { PlanChange } from "../../../src/quotas/plans/schema.ts";
import { createSubscriptions } from "../../../src/quotas/subscriptions.ts";
import { quotaRig, type QuotaRig } from "./rig.ts";

export const PLANS = ["free", "basic", "pro"];
const ACTOR = { userId: "00000000-0000-7000-8000-000000000001", traceId: "test" };

export interface Period {
  starts_at: Date;
  ends_at: Date;
  granted: bigint;
  credited: bigint;
}

/** Resets, and the plans of {@link PLANS} that operators change at the time that tests set. */
export interface PlanRig extends QuotaRig {
  subscriptions: ReturnType<typeof createSubscriptions>;
  set(time: string): void;
  change(plan: string, fields: PlanChange): Promise<unknown>;
  subscribe(
    userId: string,
    plan: string,
    more?: { resetDay?: number; timeZone?: string; takesEffect?: "now" | "next_period" },
  ): Promise<unknown>;
  /** A user's periods with what was credited for each. */
  periods(userId: string): Promise<Period[]>;
  /** The same, to be compared: from, until, credits. */
  shown(userId: string): Promise<[string, string, number][]>;
}

export async function planRig(): Promise<PlanRig> {
  const rig = await quotaRig();
  const clock = { now: () => rig.clock.at };
  const admin = createPlanAdmin({ pool: rig.pool, clock });
  const subscriptions = createSubscriptions({ pool: rig.pool, ledger: rig.ledger, clock });
  for (const name of PLANS.slice(1)) await rig.plan(name, 0);
  const minute = (time: Date) => time.toISOString().slice(0, 16);
  async function periods(userId: string) {
    const { rows } = await rig.pool.query<Period>(
      `SELECT starts_at, ends_at, granted, (
         SELECT coalesce(sum(amount), 0)::bigint FROM ledger_transfers t
         WHERE t.credit_account = p.wallet_id AND t.type = 'ALLOWANCE' AND t.expires_at = p.ends_at
       ) AS credited FROM subscription_periods p WHERE user_id = $1 ORDER BY starts_at`,
      [userId],
    );
    return rows;
  }
  return {
    ...rig,
    subscriptions,
    set: (time) => void (rig.clock.at = new Date(time)),
    change: (plan, fields) => admin.change(plan, fields, ACTOR),
    subscribe: (userId, plan, more = {}) =>
      subscriptions.subscribe(
        userId,
        { plan, resetDay: undefined, timeZone: undefined, takesEffect: undefined, reason: null, ...more },
        ACTOR,
      ),
    periods,
    shown: async (userId) =>
      (await periods(userId)).map(({ starts_at, ends_at, credited }) => [minute(starts_at), minute(ends_at), Number(credited) / 1e6]),
  };
}
