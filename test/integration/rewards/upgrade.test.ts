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
});
