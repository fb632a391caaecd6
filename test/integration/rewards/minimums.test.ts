import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { createReverse } from "../../../src/rewards/reversals/reverse.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { refunding } from "./refunding.ts";
import { prove, rewardsRig, type Rig, type Somebody } from "./rig.ts";

describe("what a top-up must buy for a reward", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
    await rig.set({ "referral.enabled": true, "referral.referrer_reward": "8", "referral.referred_reward": "3" });
  });
  beforeEach(() => rig.set({ "referral.min_topup": "50" }));
  afterEach(() => prove(rig));
  after(() => rig.close());
  const { deliver, follow, campaign, pause, referral, stateOf, totals } = refunding(() => rig);

  const raise = (least: string) => rig.set({ "referral.min_topup": least });
  const change = async ({ id }: { id: string }, fields: object) =>
    expect((await rig.operator.call("PATCH", `/api/admin/campaigns/${id}`, fields)).status).to.equal(200);
  const note = (order: string, credits: bigint) =>
    inTransaction(rig.pool, (tx) => rig.rewards.topUps.noteRefund(tx, order, credits * MICRO));
  const refund = async (order: string, credits: bigint) => {
    await note(order, credits);
    await deliver();
  };
  const claim = async (who: Somebody, { code }: { code: string }) =>
    expect((await who.call("POST", `/api/user/campaigns/${code}/claim`, {})).status).to.equal(201);

  /** The referrer's payment fails while `work` runs. */
  async function failing(work: () => Promise<unknown>): Promise<void> {
    await rig.pool.query(`CREATE FUNCTION fail_referrer() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.kind = 'referrer' THEN RAISE EXCEPTION 'no'; END IF; RETURN NULL; END $$;
      CREATE TRIGGER fail_referrer AFTER INSERT ON reward_payments FOR EACH ROW EXECUTE FUNCTION fail_referrer()`);
    await work();
    await rig.pool.query("DROP TRIGGER fail_referrer ON reward_payments; DROP FUNCTION fail_referrer");
  }

  it("is raised after it was earned: who waits for an operator is paid all the same", async () => {
    const [ada, ben] = await referral();
    await rig.pool.query("UPDATE users SET status = 'suspended' WHERE id = $1", [ada.id]);
    await follow(ben);
    const held = await stateOf(ben);
    expect(held).to.include({ status: "held", min_topup: "50" });
    await raise("200");
    const path = `/api/admin/referrals/${String(held["id"])}/review`;
    expect((await rig.operator.call("POST", path, { decision: "pay", reason: "fine" })).data).to.include({ status: "paid" });
    expect(await totals(ada, ben)).to.deep.equal(["8", "103"]);
  });

  it("is raised between one side's payment and the other's: both are paid", async () => {
    const [ada, ben] = await referral();
    await failing(() => follow(ben));
    expect(await totals(ada, ben)).to.deep.equal(["0", "103"]);
    await raise("200");
    expect(await deliver()).to.include({ failed: 0 });
    expect(await totals(ada, ben)).to.deep.equal(["8", "103"]);
    expect(await stateOf(ben)).to.include({ status: "paid" });
  });

  it("is raised after rewards were paid: a refund that leaves enough of that moment takes nothing back", async () => {
    const [ada, ben] = await referral();
    const [offer, gift] = [await campaign({ trigger: "topup", min_topup: "50" }), await campaign({ min_topup: "50", reward: "4" })];
    const order = await follow(ben);
    await claim(ben, gift);
    await raise("200");
    await change(offer, { min_topup: "200" });
    await change(gift, { min_topup: "200" });
    await refund(order, 1n);
    expect(await totals(ada, ben)).to.deep.equal(["8", "117"]);
    await refund(order, 50n);
    expect(await totals(ada, ben), "49 are left").to.deep.equal(["0", "100"]);
    await pause(offer);
  });

  it("is lowered after rewards were paid: a refund that leaves too little of that moment takes them back", async () => {
    const [ada, ben] = await referral();
    const [offer, gift] = [await campaign({ trigger: "topup", min_topup: "50" }), await campaign({ min_topup: "50", reward: "4" })];
    const order = await follow(ben);
    await claim(ben, gift);
    await raise("0");
    await change(offer, { min_topup: null });
    await change(gift, { min_topup: null });
    await refund(order, 99n);
    expect(await totals(ada, ben)).to.deep.equal(["0", "100"]);
    expect(await stateOf(ben)).to.include({ status: "reversed" });
    await pause(offer);
  });

  it("counts as it was for another top-up that carries the reward", async () => {
    const [ada, ben] = await referral();
    const gift = await campaign({ min_topup: "50", reward: "4" });
    const order = await follow(ben);
    await claim(ben, gift);
    const other = await follow(ben, 60);
    await raise("200");
    await change(gift, { min_topup: "200" });
    await rig.refund(order);
    await deliver();
    expect(await totals(ada, ben)).to.deep.equal(["8", "167"]);
    expect(await stateOf(ben)).to.include({ status: "paid", order_no: other, min_topup: "50" });
  });

  it("is asked for anew of a referral that waits again", async () => {
    const [ada, ben] = await referral();
    await rig.pool.query("UPDATE users SET status = 'suspended' WHERE id = $1", [ada.id]);
    const order = await follow(ben);
    await rig.pool.query("UPDATE users SET status = 'active' WHERE id = $1", [ada.id]);
    await rig.refund(order);
    await deliver();
    expect(await stateOf(ben)).to.include({ status: "pending", min_topup: "0" });
    await raise("70");
    await follow(ben, 60);
    expect(await totals(ada, ben)).to.deep.equal(["0", "160"]);
    await follow(ben, 70);
    expect(await totals(ada, ben)).to.deep.equal(["8", "233"]);
  });

  it("referrals that cannot be paid hold up no other, however many they are", async () => {
    // 200 are tried in one run: these come first, and none of them has a top-up that stands.
    await rig.pool.query(`
      WITH made AS (
        INSERT INTO users (id, email, username, wallet_id)
        SELECT id, id || '@stuck.example.com', 'stuck' || n, ledger_open_wallet('user', id)
        FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 201) AS n) q RETURNING id
      ), numbered AS (SELECT id, row_number() OVER () AS n FROM made)
      INSERT INTO referrals (id, referrer_id, referred_id, code, status, order_no, created_at)
      SELECT gen_random_uuid(), one.id, other.id, 'STUCKONE', 'due', 'stuck' || other.n, now() - interval '1 day'
      FROM numbered one JOIN numbered other ON one.n = 1 AND other.n > 1`);
    const [ada, ben] = await referral();
    await failing(() => follow(ben));
    expect(await deliver(), "nothing was paid, nothing failed").to.include({ referrals: 0, failed: 0 });
    expect(await deliver()).to.include({ referrals: 1, failed: 0 });
    expect(await totals(ada, ben)).to.deep.equal(["8", "103"]);
    await rig.pool.query("DELETE FROM referrals WHERE code = 'STUCKONE'");
  });

  it("two refunds of one person that are decided at once do not wait for each other's top-up", async () => {
    const [ada, ben] = await referral();
    const gift = await campaign({ min_topup: "80", reward: "4" });
    // The claim rests on the older one, the referral on the other; what is left of each would carry what rests on the other.
    const older = await rig.topUp(ben, 100);
    const newer = await follow(ben);
    await rig.rewards.topUps.follow(older);
    await claim(ben, gift);
    expect(await stateOf(ben)).to.include({ order_no: newer });
    await note(newer, 1n);
    await note(older, 40n);

    const reverse = createReverse({ pool: rig.pool });
    const topUp = (orderNo: string) => ({ orderNo, userId: ben.id, credits: 0n, completedAt: new Date() });
    const waiting = (count: number) =>
      waitFor(async () => {
        const { rows } = await rig.pool.query(
          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        return rows.length === count;
      });
    const gate = await rig.pool.connect();
    await gate.query("BEGIN");
    await gate.query("SELECT FROM referrals WHERE referred_id = $1 FOR UPDATE", [ben.id]);
    const first = reverse(topUp(newer));
    await waiting(1);
    const second = reverse(topUp(older));
    await waiting(2);
    await gate.query("COMMIT");
    gate.release();
    await Promise.all([first, second]);
    expect(await deliver()).to.include({ reversals: 0, failed: 0 });
    expect(await totals(ada, ben), "everything is carried").to.deep.equal(["8", "207"]);
  });
});
