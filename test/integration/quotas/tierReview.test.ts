import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import type { TierRules } from "../../../src/quotas/tierRules/decide.ts";
import { quotaRig, type QuotaRig } from "./rig.ts";

const RULES: TierRules = {
  enabled: true,
  start_tier: "free",
  cool_down_days: 3,
  limits_follow_score: { full_from: 100, least_percent: 10 },
  levels: [
    { tier: "restricted" },
    { tier: "free", enter: { score: 50 }, stay: { score: 50 } },
    { tier: "standard", enter: { paid: "50", score: 90 }, stay: { score: 70 } },
  ],
};
const DAY_MS = 86_400_000;

describe("a review of tiers", () => {
  let rig: QuotaRig;
  before(async () => {
    rig = await quotaRig();
    await rig.pool.query("INSERT INTO tier_rules (version, rules) VALUES (1, $1)", [RULES]);
  });
  afterEach(async () => expect((await rig.ledger.verify()).differences).to.deep.equal([]));
  after(() => rig.close());

  async function person(paid = 0) {
    const ada = await rig.subscriber(new Date(rig.clock.at.getTime() - 30 * DAY_MS).toISOString());
    if (paid > 0) {
      const id = `p:${ada.userId}`;
      const purchase = { id, walletId: ada.walletId, amount: BigInt(paid) * MICRO, description: "test", from: "clearing:test" };
      await rig.ledger.credit(rig.pool, { ...purchase, source: "purchase", type: "PURCHASE" });
    }
    return ada;
  }
  const tierOf = async (userId: string) =>
    (await rig.pool.query<{ tier: string }>("SELECT tier FROM users WHERE id = $1", [userId])).rows[0]!.tier;
  const decisions = async (userId: string) =>
    (
      await rig.pool.query<{ from_tier: string; to_tier: string; reasons: object[] }>(
        "SELECT * FROM tier_decisions WHERE user_id = $1 ORDER BY id",
        [userId],
      )
    ).rows;
  const failSignIns = (userId: string, failures: number) =>
    rig.pool.query(
      "INSERT INTO login_failures (subject, failures, own_failures, last_failure_at) VALUES ('account:' || $1, $2, $2, now()) ON CONFLICT (subject) DO UPDATE SET own_failures = $2",
      [userId, failures],
    );
  const days = (n: number) => (rig.clock.at = new Date(rig.clock.at.getTime() + n * DAY_MS));

  it("promotes by what was paid, tells why, and looks at nobody twice a day, however many review at once", async () => {
    const [ada, poor] = [await person(60), await person(10)];
    const results = await Promise.all([rig.tierReview.review(), rig.another().tierReview.review(), rig.another().tierReview.review()]);
    expect(results.reduce((sum, { changed }) => sum + changed, 0)).to.equal(1);
    expect([await tierOf(ada.userId), await tierOf(poor.userId)]).to.deep.equal(["standard", "free"]);
    expect(await rig.tierReview.review()).to.deep.equal({ reviewed: 0, changed: 0, more: false });
    const [decision, ...more] = await decisions(ada.userId);
    expect(more).to.deep.equal([]);
    expect(decision).to.deep.include({ from_tier: "free", to_tier: "standard" });
    expect(decision!.reasons[0]).to.deep.equal({ rule: "paid", asked: "50", found: "60", met: true });
    const { rows } = await rig.pool.query("SELECT actor_id FROM audit_log WHERE action = 'user.tier' AND target = $1", [
      `user:${ada.userId}`,
    ]);
    expect(rows).to.deep.equal([{ actor_id: null }]);
  });

  it("does not let anybody swing: whoever falls comes back after the cool-down, when the score is good again", async () => {
    const ada = await person(60);
    days(1);
    await rig.tierReview.review();
    expect(await tierOf(ada.userId)).to.equal("standard");
    // 2 for each failure beyond five, 20 at most.
    await failSignIns(ada.userId, 20);
    days(1);
    await rig.tierReview.review();
    expect(await tierOf(ada.userId), "80 keeps what 90 leads to").to.equal("standard");
    const { rows } = await rig.pool.query("SELECT score, limit_percent FROM tier_standings WHERE user_id = $1", [ada.userId]);
    expect(rows).to.deep.equal([{ score: 80, limit_percent: 80 }]);
    await rig.pool.query(
      `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, status,
         expires_at, created_at)
       SELECT 'TKF' || n || upper(left(replace($1::uuid::text, '-', ''), 12)), $1::uuid, $2, 'epay', 'm', 'alipay', 100, 'CNY', 1000000,
         1000000, 'failed', now(), $3::timestamptz FROM generate_series(1, 4) n`,
      [ada.userId, ada.walletId, rig.clock.at],
    );
    days(1);
    await rig.tierReview.review();
    expect(await tierOf(ada.userId), "60 does not").to.equal("free");
    await failSignIns(ada.userId, 0);
    await rig.pool.query("UPDATE topup_orders SET status = 'expired' WHERE user_id = $1", [ada.userId]);
    for (const [later, tier] of [
      [1, "free"],
      [1, "free"],
      [1, "standard"],
    ] as const) {
      days(later);
      await rig.tierReview.review();
      expect(await tierOf(ada.userId)).to.equal(tier);
    }
    expect((await decisions(ada.userId)).map(({ to_tier }) => to_tier)).to.deep.equal(["standard", "free", "standard"]);
  });

  it("leaves alone a tier that an operator has set", async () => {
    const ada = await person(60);
    await rig.pool.query("UPDATE users SET tier = 'pro' WHERE id = $1", [ada.userId]);
    days(1);
    await rig.tierReview.review();
    expect(await tierOf(ada.userId)).to.equal("pro");
    const bob = await person(60);
    days(1);
    await rig.tierReview.review();
    expect(await tierOf(bob.userId)).to.equal("standard");
    await rig.pool.query("UPDATE users SET tier = 'restricted' WHERE id = $1", [bob.userId]);
    days(10);
    await rig.tierReview.review();
    expect(await tierOf(bob.userId)).to.equal("restricted");
  });

  it("a dry run tells what other rules would do, page by page, and does nothing", async () => {
    const ada = await person(60);
    const hard: TierRules = { ...RULES, levels: [{ tier: "restricted" }, { tier: "free", enter: {}, stay: { paid: "1000" } }] };
    const seen: { userId: string; change: string | undefined }[] = [];
    for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
      const page = await rig.tierReview.dryRun(hard, after, 2);
      seen.push(...page.items.map(({ userId, decision }) => ({ userId, change: decision?.change })));
      after = page.next ?? undefined;
    }
    expect(seen.find(({ userId }) => userId === ada.userId)).to.deep.include({ change: "demoted" });
    expect(await tierOf(ada.userId)).to.equal("free");
    expect(await decisions(ada.userId)).to.deep.equal([]);
  });
});
