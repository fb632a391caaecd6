import { createQuotaServices } from "../../../src/main/quota-services.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { freshDatabase } from "../../support/stack.ts";
import { silent, usageRig, type UsageRig } from "../../support/usage.ts";

/** Resets on a database of their own, at a time that tests set. */
export interface QuotaRig extends UsageRig, ReturnType<typeof createQuotaServices> {
  url: string;
  clock: { at: Date };
  /** Another worker's services, on the same database and clock. */
  another(): ReturnType<typeof createQuotaServices>;
  /** A user with a wallet, subscribed since a moment. */
  subscriber(
    since: string,
    plan?: string,
    rhythm?: { resetDay?: number; timeZone?: string },
  ): Promise<{ userId: string; walletId: bigint }>;
  /** A user with a wallet, made at a moment, who has the standard plan. */
  person(since: Date): Promise<{ userId: string; walletId: bigint }>;
  /** A plan with an allowance in credits. */
  plan(name: string, allowance: number, more?: { limits?: object; takesEffect?: string; version?: number }): Promise<string>;
  /** A call that began at a moment: held, recorded and settled unless told. 93 credits. */
  callAt(owner: { userId: string; walletId: bigint }, at: string, options?: { settle?: boolean }): Promise<string>;
  settle(): Promise<void>;
  transfers(walletId: bigint): Promise<{ id: string; type: string; amount: bigint }[]>;
}

export async function quotaRig(): Promise<QuotaRig> {
  const url = await freshDatabase();
  const rig = usageRig({ url });
  const clock = { at: new Date() };
  const another = () =>
    createQuotaServices({ pool: rig.pool, ledger: rig.ledger, log: silent, clock: { now: () => clock.at }, graceMs: 0 });
  const settle = async () => {
    while ((await rig.settlement.settleBatch(0, 500)).taken > 0);
  };
  async function user(since: Date) {
    const userId = uuidv7();
    const walletId = await rig.ledger.ensureWallet(rig.pool, { type: "user", id: userId });
    await rig.pool.query("INSERT INTO users (id, email, username, wallet_id, created_at) VALUES ($1, $2, $3, $4, $5)", [
      userId,
      `${userId}@example.com`,
      `u${userId.slice(-12)}`,
      walletId,
      since,
    ]);
    return { userId, walletId };
  }
  return {
    ...rig,
    ...another(),
    async person(since) {
      const person = await user(since);
      await rig.pool.query("UPDATE subscriptions SET created_at = $2 WHERE user_id = $1", [person.userId, since]);
      return person;
    },
    url,
    clock,
    another,
    settle,
    async subscriber(since, plan = "free", { resetDay = 1, timeZone = "Asia/Shanghai" } = {}) {
      const { userId, walletId } = await user(new Date(since));
      await rig.pool.query("INSERT INTO subscription_terms (user_id, from_at, plan, reset_day, time_zone) VALUES ($1, $2, $3, $4, $5)", [
        userId,
        since,
        plan,
        resetDay,
        timeZone,
      ]);
      return { userId, walletId };
    },
    async plan(name, allowance, { limits = {}, takesEffect = "next_period", version = 1 } = {}) {
      await rig.pool.query("INSERT INTO plans (name) VALUES ($1) ON CONFLICT DO NOTHING", [name]);
      await rig.pool.query(
        `INSERT INTO plan_versions (plan, version, display_name, allowance, limits, change_takes_effect, created_at)
         VALUES ($1, $2, $1, $3, $4, $5, $6)`,
        [name, version, BigInt(allowance) * MICRO, limits, takesEffect, version === 1 ? "2020-01-01" : clock.at],
      );
      return name;
    },
    async callAt(owner, at, { settle: settled = true } = {}) {
      const event = await rig.call(owner, { startedAt: new Date(at) });
      await rig.usage.record(event);
      if (settled) await settle();
      return event.id;
    },
    async transfers(walletId) {
      const { rows } = await rig.pool.query<{ id: string; type: string; amount: bigint }>(
        `SELECT id, type, CASE WHEN credit_account = $1 THEN amount ELSE -amount END AS amount FROM ledger_transfers
         WHERE credit_account = $1 OR debit_account = $1 ORDER BY seq`,
        [walletId],
      );
      return rows;
    },
  };
}

/** Runs every step until nothing is left. */
export async function runAll({ reset }: Pick<ReturnType<typeof createQuotaServices>, "reset">) {
  let periods = 0;
  let written = 0;
  for (let more = true; more;) {
    const opened = await reset.openPeriods();
    periods += opened.periods;
    ({ more } = opened);
  }
  for (let more = true; more;) {
    const stated = await reset.writeStatements();
    written += stated.written;
    ({ more } = stated);
  }
  return { periods, written };
}
