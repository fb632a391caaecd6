import path from "node:path";
import { expect } from "chai";
import { createLogger } from "../../../src/platform/logger.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { migrate } from "../../../src/platform/migrations.ts";
import { createPool } from "../../../src/platform/postgres.ts";
import { projectRoot } from "../../../src/platform/root.ts";
import { emptyDatabase } from "../../support/stack.ts";
import { prove, rewardsRig } from "./rig.ts";

const log = createLogger({ level: "silent", name: "test" });
const folder = path.join(projectRoot, "migrations");

describe("what the release before gave and sold", () => {
  it("is known to this one: nobody is welcomed twice, and earlier top-ups count but pay no rewards", async () => {
    const url = await emptyDatabase();
    await migrate({ url, folder, log, upTo: "0018-usage-messages.sql" });
    const before = createPool({ url, max: 2, name: "test", log });
    const id = uuidv7();
    const wallet = (await before.query<{ id: bigint }>("SELECT ledger_open_wallet('user', $1) AS id", [id])).rows[0]!.id;
    await before.query(
      "INSERT INTO users (id, email, username, wallet_id, email_verified) VALUES ($1, 'ada@example.com', 'ada', $2, true)",
      [id, wallet],
    );
    await before.query(
      `SELECT FROM ledger_credit($1, $2, 25000000, 'grants:welcome', 'bonus', 'BONUS', 30::smallint, NULL, 'Welcome grant', NULL)`,
      [`welcome:${id}`, wallet],
    );
    await before.query(
      `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, status, trade_no,
         expires_at, completed_at) VALUES ('TKOLD1', $1, $2, 'epay', '1', 'alipay', 1000, 'CNY', 10000000, 100000000, 'completed', 't', now(), now())`,
      [id, wallet],
    );
    await before.end();

    await migrate({ url, folder, log });
    const rig = await rewardsRig({ databaseUrl: url, redisUrl: "", temporalAddress: "", namespace: "" });
    try {
      await rig.set({ "welcome.credits": "7" });
      await rig.rewards.welcome(id);
      expect((await rig.ledger.balance(wallet)).total).to.equal(25n * MICRO);
      expect(await rig.rewards.topUps.deliver()).to.deep.equal({ topUps: 0, referrals: 0, reversals: 0, failed: 0 });
      const { rows } = await rig.pool.query("SELECT order_no, credits FROM reward_topups WHERE user_id = $1", [id]);
      expect(rows).to.deep.equal([{ order_no: "TKOLD1", credits: 100n * MICRO }]);
      await prove(rig);
    } finally {
      await rig.close();
    }
  });

  it("rests on what is asked of a top-up now, and no more than it had: nothing is taken back and nobody waits for ever", async () => {
    const url = await emptyDatabase();
    await migrate({ url, folder, log, upTo: "0055-dify-totals.sql" });
    const before = createPool({ url, max: 2, name: "test", log });
    await before.query(`INSERT INTO settings (key, value, version) VALUES ('referral.min_topup', '"200"', 1)`);
    await before.query(`
      INSERT INTO users (id, email, username, wallet_id)
      SELECT id, 'p' || n || '@example.com', 'p' || n, ledger_open_wallet('user', id)
      FROM (SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid AS id, n FROM generate_series(1, 4) AS n) q;
      INSERT INTO reward_topups (order_no, user_id, credits, refunded_credits, completed_at, done_at, refunded_at, reversed_at)
      SELECT 'TK' || n, ('00000000-0000-7000-8000-00000000000' || n)::uuid, credits, refunded, now(), now(), NULL, decided
      FROM (VALUES (2, 100000000, 0, NULL), (3, 100000000, 40000000, now()), (4, 500000000, 0, NULL)) AS t (n, credits, refunded, decided);
      INSERT INTO referrals (id, referrer_id, referred_id, code, status, order_no)
      SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000001', user_id, 'ADASCODE', 'due', order_no FROM reward_topups;
      INSERT INTO campaigns (id, code, name, trigger, starts_at, ends_at, reward, budget, min_topup)
      SELECT gen_random_uuid(), code, code, 'claim', now(), now() + interval '1 day', 1, 1, least FROM (VALUES ('large', 300000000), ('any', NULL)) AS c (code, least);
      INSERT INTO campaign_claims (campaign_id, user_id, no, amount, balance_after, topup_no, created_at)
      SELECT c.id, t.user_id, 1, 1, 1, t.order_no, now() FROM campaigns c CROSS JOIN reward_topups t`);
    await before.end();

    await migrate({ url, folder, log });
    const after = createPool({ url, max: 2, name: "test", log });
    const referrals = await after.query("SELECT order_no, min_topup FROM referrals ORDER BY order_no");
    expect(referrals.rows).to.deep.equal([
      { order_no: "TK2", min_topup: 100n * MICRO },
      { order_no: "TK3", min_topup: 60n * MICRO },
      { order_no: "TK4", min_topup: 200n * MICRO },
    ]);
    const claims = await after.query(
      "SELECT c.code, l.topup_no, l.min_topup FROM campaign_claims l JOIN campaigns c ON c.id = l.campaign_id ORDER BY 1, 2",
    );
    expect(claims.rows.map(({ code, topup_no, min_topup }) => [code, topup_no, min_topup])).to.deep.equal([
      ["any", "TK2", 0n],
      ["any", "TK3", 0n],
      ["any", "TK4", 0n],
      ["large", "TK2", 100n * MICRO],
      ["large", "TK3", 60n * MICRO],
      ["large", "TK4", 300n * MICRO],
    ]);
    await after.end();
  });
});
