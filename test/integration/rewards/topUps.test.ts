import { expect } from "chai";
import { createRewardActivities } from "../../../activities/rewards.ts";
import { startWorker } from "../../../src/main/worker-runtime.ts";
import { createSettlePayment } from "../../../src/payments/settle.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { createTemporalLink } from "../../../src/platform/temporal.ts";
import { unique } from "../../support/people.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { prove, rewardsRig, type Rig, type Somebody } from "./rig.ts";

const log = createLogger({ level: "silent", name: "test" });

describe("what follows from a top-up", () => {
  const places = useStack({ namespace: true });
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
    const { status } = await rig.operator.call("POST", "/api/admin/campaigns", {
      code: unique("T").slice(0, 20),
      name: "Every top-up",
      trigger: "topup",
      reward: "5",
      budget: "1000000",
      most_per_user: 100,
      starts_at: new Date(Date.now() - 3_600_000).toISOString(),
      ends_at: new Date(Date.now() + 3_600_000).toISOString(),
    });
    expect(status).to.equal(201);
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  async function order(who: Somebody): Promise<string> {
    const orderNo = `TK${uuidv7().replaceAll("-", "").toUpperCase().slice(2)}`;
    await rig.pool.query(
      `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, bonus_credits, expires_at)
       VALUES ($1, $2, $3, 'epay', '1', 'alipay', 5000, 'CNY', 10000000, 500000000, 25000000, now() + interval '1 hour')`,
      [orderNo, who.id, who.walletId],
    );
    return orderNo;
  }
  const payment = (orderNo: string) => ({ tradeNo: orderNo, amount: 5_000n, reportedBy: "callback" as const });
  const noted = async (orderNo: string) =>
    (
      await rig.pool.query<{ credits: bigint; done: boolean }>(
        "SELECT credits, done_at IS NOT NULL AS done FROM reward_topups WHERE order_no = $1",
        [orderNo],
      )
    ).rows;

  it("is paid at once, once, however often the payment is reported", async () => {
    const ada = await rig.somebody();
    const orderNo = await order(ada);
    const settle = createSettlePayment({ pool: rig.pool, ledger: rig.ledger, log, rewards: rig.rewards.topUps });
    await Promise.all(Array.from({ length: 10 }, () => settle(orderNo, payment(orderNo))));
    // Bought and bonus, and the campaign's. Only what was bought counts.
    expect(await ada.total()).to.equal(530n * MICRO);
    expect(await noted(orderNo)).to.deep.equal([{ credits: 500n * MICRO, done: true }]);
  });

  it("is noted in the transaction that credits: neither is without the other", async () => {
    const ada = await rig.somebody();
    const orderNo = await order(ada);
    const failing = createSettlePayment({
      pool: rig.pool,
      ledger: rig.ledger,
      log,
      rewards: {
        note: async (tx, topUp) => {
          await rig.rewards.topUps.note(tx, topUp);
          throw new Error("the process dies");
        },
        follow: rig.rewards.topUps.follow,
      },
    });
    await failing(orderNo, payment(orderNo)).then(
      () => expect.fail("it was credited"),
      (error: Error) => expect(error.message).to.equal("the process dies"),
    );
    expect([await ada.total(), await noted(orderNo)]).to.deep.equal([0n, []]);
  });

  it("is paid by the schedule when the process died after the credit", async () => {
    const [ada, ben] = [await rig.somebody(), await rig.somebody()];
    const dying = { note: rig.rewards.topUps.note, follow: async () => undefined };
    const settle = createSettlePayment({ pool: rig.pool, ledger: rig.ledger, log, rewards: dying });
    for (const who of [ada, ben]) {
      const orderNo = await order(who);
      await settle(orderNo, payment(orderNo));
      expect(await noted(orderNo)).to.deep.equal([{ credits: 500n * MICRO, done: false }]);
    }
    const { temporalAddress: address, namespace } = places;
    const link = createTemporalLink({ address, namespace, uiUrl: "http://ui.test", log });
    const workers = [1, 2].map(() =>
      startWorker({
        address,
        namespace,
        taskQueue: "billing",
        activities: createRewardActivities({ topUps: rig.rewards.topUps }),
        client: link.client,
        graceMs: 1_000,
        log,
      }),
    );
    const runs = await Promise.all(
      ["one", "two"].map((workflowId) => link.client.workflow.execute("rewardDelivery", { workflowId, taskQueue: "billing", args: [] })),
    );
    for (const run of runs) expect(run).to.include({ failed: 0 });
    expect([await ada.total(), await ben.total()]).to.deep.equal([530n * MICRO, 530n * MICRO]);
    for (const worker of workers) await worker.stop();
    await link.close();
  });

  it("is credited together with its bonus, in the order in which all lock, also by a wallet that owes", async () => {
    const ada = await rig.somebody();
    await inTransaction(rig.pool, (tx) =>
      rig.ledger.settle(tx, [
        {
          id: uuidv7(),
          holdId: null,
          walletId: ada.walletId,
          cost: 7n * MICRO,
          to: "revenue:usage",
          type: "CONSUMPTION",
          description: "a message",
          reference: "m",
        },
      ]),
    );
    const orderNo = await order(ada);
    const settle = createSettlePayment({ pool: rig.pool, ledger: rig.ledger, log });
    const other = await rig.pool.connect();
    await other.query("BEGIN");
    // Somebody else's bonus, whose wallet owes too.
    await other.query("SELECT ledger_system_account('grants:topup', 'CREDIT')");
    const settling = settle(orderNo, payment(orderNo));
    await waitFor(async () => {
      const { rows } = await rig.pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
      return rows.length === 1;
    });
    await other.query("SELECT FROM ledger_accounts WHERE code = 'unpaid' FOR NO KEY UPDATE NOWAIT");
    await other.query("COMMIT");
    other.release();
    expect((await settling).outcome).to.equal("credited");
    expect(await ada.total()).to.equal(518n * MICRO);
  });

  it("one that always fails holds up no other", async () => {
    const [ada, ben] = [await rig.somebody(), await rig.somebody()];
    await rig.topUp(ada, 100);
    await rig.topUp(ben, 100);
    await rig.pool.query(`CREATE FUNCTION fail_ada() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.user_id = '${ada.id}' THEN RAISE EXCEPTION 'no'; END IF; RETURN NULL; END $$;
      CREATE TRIGGER fail_ada AFTER INSERT ON campaign_claims FOR EACH ROW EXECUTE FUNCTION fail_ada()`);
    expect(await rig.rewards.topUps.deliver()).to.include({ topUps: 1, failed: 1 });
    expect([await ada.total(), await ben.total()]).to.deep.equal([100n * MICRO, 105n * MICRO]);
    await rig.pool.query("DROP TRIGGER fail_ada ON campaign_claims; DROP FUNCTION fail_ada");
    expect(await rig.rewards.topUps.deliver()).to.include({ topUps: 1, failed: 0 });
    expect(await ada.total()).to.equal(105n * MICRO);
  });
});
