import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { refunding } from "./refunding.ts";
import { prove, rewardsRig, type Page, type Rig, type Somebody } from "./rig.ts";

describe("rewards of a top-up that is refunded", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
    await rig.set({ "referral.enabled": true, "referral.referrer_reward": "8", "referral.referred_reward": "3" });
  });
  afterEach(() => prove(rig));
  after(() => rig.close());
  const { deliver, follow, campaign, pause, referral, stateOf, reversalsOf, totals, hold, spend } = refunding(() => rig);

  it("are not paid when it is refunded before they are; the next top-up is the first one then", async () => {
    const offer = await campaign({ trigger: "topup" });
    const [ada, ben] = await referral();
    const order = await rig.topUp(ben, 100);
    await rig.refund(order);
    await rig.rewards.topUps.follow(order);
    await deliver();
    await deliver();
    expect(await totals(ada, ben)).to.deep.equal(["0", "100"]);
    expect(await stateOf(ben)).to.include({ status: "pending", order_no: null });
    await pause(offer);
    await follow(ben);
    expect(await totals(ada, ben)).to.deep.equal(["8", "203"]);
    expect(await reversalsOf(ben)).to.deep.equal([]);
  });

  it("are not paid when it is refunded while an operator looks at the referral", async () => {
    const [ada, ben] = await referral();
    await rig.pool.query("UPDATE users SET status = 'suspended' WHERE id = $1", [ada.id]);
    const order = await follow(ben);
    const { id } = await stateOf(ben);
    await rig.refund(order);
    const review = () => rig.operator.call("POST", `/api/admin/referrals/${String(id)}/review`, { decision: "pay", reason: "fine" });
    expect((await review()).error?.code).to.equal("invalid_state");
    await deliver();
    expect(await stateOf(ben)).to.deep.include({ status: "pending", order_no: null, signals: [], reviewed_by: null });
    expect((await review()).error?.code).to.equal("invalid_state");
    expect(await totals(ada, ben)).to.deep.equal(["0", "100"]);
  });

  it("are taken back as far as they are not spent, from both sides, once, and operators see the rest", async () => {
    const [ada, ben] = await referral();
    const offer = await campaign({ trigger: "topup", reward: "5" });
    const order = await follow(ben);
    await pause(offer);
    await spend(ada, 6n);
    expect(await totals(ada, ben)).to.deep.equal(["2", "108"]);
    await rig.refund(order);
    await Promise.all([1, 2, 3, 4].map(deliver));
    expect(await totals(ada, ben)).to.deep.equal(["0", "100"]);
    expect(await stateOf(ben)).to.include({ status: "reversed", order_no: order });
    expect((await ada.call<Page>("GET", "/api/user/referrals")).data.items[0]).to.include({ status: "reversed", reward: "0" });
    expect((await reversalsOf(ada))[0]).to.include({
      kind: "referrer",
      order_no: order,
      amount: "8",
      recovered: "2",
      lost: "6",
      status: "ended",
    });
    expect((await reversalsOf(ben)).map(({ kind, amount, recovered }) => [kind, amount, recovered])).to.have.deep.members([
      ["referred", "3", "3"],
      ["campaign", "5", "5"],
    ]);
    const { items } = (await ada.call<Page>("GET", "/api/user/transactions?type=BONUS")).data;
    expect(items.map(({ amount, description }) => [amount, description])).to.deep.equal([
      ["-2", "Reward taken back: its top-up was refunded"],
      ["8", "Referral: somebody you brought topped up"],
    ]);
    await follow(ben);
    expect(await totals(ada, ben), "a referral is paid once").to.deep.equal(["0", "200"]);
    const { reversed } = (await rig.operator.call<{ reversed: { count: number; lost: string } }>("GET", "/api/admin/rewards/stats")).data;
    expect(reversed.count).to.be.at.least(3);
    expect(Number(reversed.lost)).to.be.at.least(6);
    expect(await rig.metrics.text()).to.match(/tollkeeper_reward_credits_recovered_total\{kind="referrer"\} 2/);
  });

  it("are taken back later when running calls hold them", async () => {
    const ada = await rig.somebody();
    const offer = await campaign({ trigger: "topup" });
    const order = await follow(ada);
    await pause(offer);
    const call = await hold(ada, 104n);
    await rig.refund(order);
    await deliver();
    expect((await reversalsOf(ada))[0]).to.include({ recovered: "6", status: "open", ended_at: null });
    await rig.ledger.release([call]);
    await deliver();
    expect((await reversalsOf(ada))[0]).to.include({ recovered: "10", lost: "0", status: "ended" });
    expect(await totals(ada)).to.deep.equal(["100"]);
  });

  it("stay when another top-up carries them", async () => {
    const [ada, ben] = await referral();
    const first = await follow(ben);
    const second = await follow(ben);
    await rig.refund(first);
    await deliver();
    expect(await totals(ada, ben)).to.deep.equal(["8", "203"]);
    expect(await stateOf(ben)).to.include({ status: "paid", order_no: second });
    await rig.refund(second);
    await deliver();
    expect(await totals(ada, ben)).to.deep.equal(["0", "200"]);
  });

  it("claimed by code for a top-up are taken back with it, unless there is another large enough", async () => {
    const offer = await campaign({ min_topup: "50" });
    const [ada, ben] = [await rig.somebody(), await rig.somebody()];
    const claim = async (who: Somebody) => (await who.call("POST", `/api/user/campaigns/${offer.code}/claim`, {})).status;
    const [order, own] = [await follow(ada), await follow(ben)];
    await follow(ben);
    await follow(ada, 40);
    expect([await claim(ada), await claim(ben)]).to.deep.equal([201, 201]);
    await rig.refund(order);
    await rig.refund(own);
    await deliver();
    expect(await totals(ada, ben)).to.deep.equal(["140", "210"]);
    expect(await claim(ada), "the condition is not met any more").to.equal(403);
  });

  it("paid and refunded at the same moment end without them, whoever comes first", async () => {
    const offer = await campaign({ trigger: "topup" });
    for (let round = 0; round < 10; round += 1) {
      const [ada, ben] = await referral();
      const order = await rig.topUp(ben, 100);
      await Promise.all([rig.rewards.topUps.follow(order), rig.refund(order), deliver()]);
      await deliver();
      expect(await totals(ada, ben), `round ${round}`).to.deep.equal(["0", "100"]);
    }
    await pause(offer);
  });

  it("a payment under way is waited for before it is undone", async () => {
    const offer = await campaign({ trigger: "topup" });
    const ada = await rig.somebody();
    const order = await rig.topUp(ada, 100);
    const gate = await rig.pool.connect();
    await gate.query("BEGIN");
    await gate.query("SELECT FROM ledger_accounts WHERE code = 'grants:campaign' FOR UPDATE");
    const paying = rig.rewards.topUps.follow(order);
    const waiting = async (count: number) =>
      waitFor(async () => {
        const { rows } = await rig.pool.query<{ count: bigint }>(
          "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        return Number(rows[0]!.count) === count;
      });
    await waiting(1);
    await rig.refund(order);
    const undoing = deliver();
    await waiting(2);
    await gate.query("COMMIT");
    gate.release();
    await Promise.all([paying, undoing]);
    await deliver();
    expect(await totals(ada)).to.deep.equal(["100"]);
    expect((await reversalsOf(ada))[0]).to.include({ recovered: "10", status: "ended" });
    await pause(offer);
  });
});
