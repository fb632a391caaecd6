import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import type { Party } from "../../../src/rewards/referral/rules.ts";
import { useStack } from "../../support/stack.ts";
import { prove, rewardsRig, type Page, type Rig, type Somebody } from "./rig.ts";

interface Referrals extends Page {
  code: string;
  counts: Record<string, number>;
  earned: string;
}

describe("referrals", () => {
  const places = useStack();
  let rig: Rig;
  let networks = 0;
  before(async () => {
    rig = await rewardsRig(places);
  });
  beforeEach(async () => {
    rig.clock.set(Date.now());
    await rig.set({
      "referral.enabled": true,
      "referral.referrer_reward": "8",
      "referral.referred_reward": "3",
      "referral.monthly_cap": 20,
    });
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  const elsewhere = () => `198.51.${100 + Math.floor(++networks / 250)}.${networks % 250}`;
  const party = (who: Somebody, ip = elsewhere()): Party => ({
    id: who.id,
    email: `${who.id}@example.com`,
    devices: [{ ip, userAgent: "Firefox" }],
  });
  const mine = async (who: Somebody) => (await who.call<Referrals>("GET", "/api/user/referrals")).data;
  /** Somebody who registered with a code. */
  async function bring(referrer: Somebody, options: { referrerIp?: string; ip?: string } = {}): Promise<Somebody> {
    const { code } = await mine(referrer);
    const somebody = await rig.somebody();
    await inTransaction(rig.pool, (tx) =>
      rig.rewards.referrals.attach(tx, { code, referrer: party(referrer, options.referrerIp), referred: party(somebody, options.ip) }),
    );
    return somebody;
  }
  const topUp = async (who: Somebody, credits = 100) => {
    const order = await rig.topUp(who, credits);
    await rig.rewards.topUps.follow(order);
    return order;
  };
  const stateOf = async (who: Somebody) =>
    (await rig.operator.call<Page>("GET", `/api/admin/referrals?referred_id=${who.id}`)).data.items[0]!;

  it("pay both sides once the first top-up is complete, not before and not again", async () => {
    const ada = await rig.somebody();
    const ben = await bring(ada);
    expect(await mine(ada)).to.deep.include({ counts: { registered: 1, waiting: 1, in_review: 0, paid: 0 }, earned: "0" });
    expect([await ada.total(), await ben.total()]).to.deep.equal([0n, 0n]);
    await topUp(ben);
    expect([await ada.total(), await ben.total()]).to.deep.equal([8n * MICRO, 103n * MICRO]);
    await topUp(ben);
    expect([await ada.total(), await ben.total()]).to.deep.equal([8n * MICRO, 203n * MICRO]);
    const seen = await mine(ada);
    expect(seen).to.deep.include({ counts: { registered: 1, waiting: 0, in_review: 0, paid: 1 }, earned: "8" });
    expect(seen.items[0]).to.include({ status: "paid", reward: "8" });
    for (const [who, amount, description] of [
      [ada, "8", "Referral: somebody you brought topped up"],
      [ben, "3", "Referral: your first top-up"],
    ] as const) {
      const { items } = (await who.call<Page>("GET", "/api/user/transactions?type=BONUS")).data;
      expect(items.map((item) => [item["amount"], item["description"]])).to.deep.equal([[amount, description]]);
    }
  });

  it("a person has one code, whoever asks for it at once", async () => {
    const ada = await rig.somebody();
    const codes = await Promise.all(Array.from({ length: 20 }, async () => (await mine(ada)).code));
    expect(new Set(codes).size).to.equal(1);
    expect(codes[0]).to.match(/^[A-HJKMNP-Z2-9]{8}$/);
    expect(await rig.rewards.referrals.ownerOf(rig.pool, codes[0]!.toLowerCase())).to.equal(ada.id);
    expect((await (await rig.somebody({ verified: false })).call("GET", "/api/user/referrals")).error?.code).to.equal("email_not_verified");
  });

  it("followed twenty times at once pay each side once", async () => {
    const ada = await rig.somebody();
    const ben = await bring(ada);
    const order = await rig.topUp(ben, 100);
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? rig.rewards.topUps.follow(order) : rig.rewards.topUps.deliver())),
    );
    expect([await ada.total(), await ben.total()]).to.deep.equal([8n * MICRO, 103n * MICRO]);
  });

  it("what could not be paid when it was earned is paid later, whatever step it stopped at", async () => {
    const ada = await rig.somebody();
    const ben = await bring(ada);
    const order = await rig.topUp(ben, 100);
    for (const table of ["referral_months", "referrals", "reward_payments"]) {
      // Each time one step further: the connection is cut when the step is reached.
      await rig.pool
        .query(`CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE TRIGGER die AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION die()`);
      await rig.rewards.topUps.follow(order);
      expect((await rig.rewards.topUps.deliver()).failed, table).to.be.at.least(1);
      await rig.pool.query(`DROP TRIGGER die ON ${table}; DROP FUNCTION die`);
      expect(await ada.total()).to.equal(0n);
      await prove(rig);
    }
    expect(await rig.rewards.topUps.deliver()).to.include({ failed: 0 });
    expect([await ada.total(), await ben.total()]).to.deep.equal([8n * MICRO, 103n * MICRO]);
    expect(await rig.rewards.topUps.deliver()).to.deep.equal({ topUps: 0, referrals: 0, reversals: 0, failed: 0 });
  });

  it("a self-referral is recorded and pays nothing", async () => {
    const ada = await rig.somebody();
    const { code } = await mine(ada);
    const ben = await rig.somebody();
    const self = { ...party(ben), email: `${ada.id}+second@EXAMPLE.com` };
    await inTransaction(rig.pool, (tx) => rig.rewards.referrals.attach(tx, { code, referrer: party(ada), referred: self }));
    await inTransaction(rig.pool, (tx) => rig.rewards.referrals.attach(tx, { code, referrer: party(ada), referred: party(ada) }));
    await topUp(ben);
    expect([await ada.total(), await ben.total()]).to.deep.equal([0n, 100n * MICRO]);
    expect(await stateOf(ben)).to.include({ status: "refused", reason: "self_referral" });
    expect((await mine(ada)).items.map((item) => item["status"])).to.deep.equal(["refused"]);
  });

  it("from the referrer's own network or device are held for an operator, who pays or refuses them", async () => {
    const [ada, ip] = [await rig.somebody(), elsewhere()];
    const ben = await bring(ada, { referrerIp: ip, ip });
    const cleo = await bring(ada, { referrerIp: ip, ip });
    await topUp(ben);
    await topUp(cleo);
    expect([await ada.total(), await ben.total()]).to.deep.equal([0n, 100n * MICRO]);
    const held = await stateOf(ben);
    expect(held).to.deep.include({ status: "held", signals: ["same_network", "same_device"], referrer_reward: "8" });
    expect((await stateOf(cleo))["signals"]).to.deep.equal(["same_network", "same_device", "network_of_another_referral"]);
    expect((await mine(ada)).counts).to.include({ in_review: 2 });
    const review = (id: unknown, decision: string) =>
      rig.operator.call("POST", `/api/admin/referrals/${String(id)}/review`, { decision, reason: "they share a flat" });
    const decided = await Promise.all([1, 2, 3].map(() => review(held["id"], "pay")));
    expect(decided.map(({ status }) => status).sort()).to.deep.equal([200, 409, 409]);
    expect(decided.find(({ status }) => status === 200)!.data).to.include({
      status: "paid",
      reviewed_by: rig.operator.id,
      review_reason: "they share a flat",
    });
    expect((await review((await stateOf(cleo))["id"], "refuse")).data).to.include({ status: "refused", reason: "reviewed" });
    expect([await ada.total(), await ben.total(), await cleo.total()]).to.deep.equal([8n * MICRO, 103n * MICRO, 100n * MICRO]);
    const { rows } = await rig.pool.query("SELECT details FROM audit_log WHERE target = $1", [`referral:${String(held["id"])}`]);
    expect(rows).to.deep.equal([{ details: { decision: "pay", reason: "they share a flat", signals: ["same_network", "same_device"] } }]);
  });

  it("a referrer who is suspended by then is looked at", async () => {
    const ada = await rig.somebody();
    const ben = await bring(ada);
    await rig.pool.query("UPDATE users SET status = 'suspended' WHERE id = $1", [ada.id]);
    await topUp(ben);
    expect(await stateOf(ben)).to.deep.include({ status: "held", signals: ["referrer_not_active"] });
  });

  it("beyond the month's cap pay the referred person alone, however many come at once", async () => {
    await rig.set({ "referral.monthly_cap": 3 });
    const ada = await rig.somebody();
    const brought = await Promise.all(Array.from({ length: 8 }, () => bring(ada)));
    await Promise.all(brought.map((somebody) => topUp(somebody)));
    expect(await ada.total()).to.equal(24n * MICRO);
    for (const somebody of brought) expect(await somebody.total()).to.equal(103n * MICRO);
    const statuses = (await mine(ada)).items.map((item) => item["status"]);
    expect(statuses.filter((status) => status === "paid")).to.have.length(3);
    expect(statuses.filter((status) => status === "capped")).to.have.length(5);
    rig.clock.set(Date.now() + 32 * 86_400_000);
    await topUp(await bring(ada));
    expect(await ada.total(), "another month").to.equal(32n * MICRO);
  });

  it("wait for a top-up that is large enough, and pay nothing while they are switched off", async () => {
    await rig.set({ "referral.min_topup": "50" });
    const ada = await rig.somebody();
    const ben = await bring(ada);
    await topUp(ben, 49);
    expect((await stateOf(ben))["status"]).to.equal("pending");
    await topUp(ben, 50);
    expect((await stateOf(ben))["status"]).to.equal("paid");
    await rig.set({ "referral.min_topup": null, "referral.enabled": false });
    const cleo = await bring(ada);
    await topUp(cleo);
    expect(await stateOf(cleo)).to.include({ status: "refused", reason: "switched_off" });
    expect(await ada.total()).to.equal(8n * MICRO);
  });

  it("rewards are summed for operators by day and kind", async () => {
    const stats = async (query = "") =>
      (
        await rig.operator.call<{
          by_kind: { kind: string; count: number; credits: string }[];
          by_day: Record<string, unknown>[];
          held_referrals: number;
        }>("GET", `/api/admin/rewards/stats${query}`)
      ).data;
    const before = await stats();
    const kind = (sums: typeof before, name: string) => sums.by_kind.find((sum) => sum.kind === name)!;
    const ada = await rig.somebody();
    await topUp(await bring(ada));
    await ada.call("POST", "/api/user/checkin", {});
    const after = await stats();
    for (const [name, credits] of [
      ["referrer", 8],
      ["referred", 3],
      ["checkin", 1],
    ] as const) {
      expect(kind(after, name).count - kind(before, name).count, name).to.equal(1);
      expect(Number(kind(after, name).credits) - Number(kind(before, name).credits), name).to.equal(credits);
    }
    const today = new Date().toISOString().slice(0, 10);
    expect(after.by_day.filter((sum) => sum["day"] === today).map((sum) => sum["kind"])).to.include.members([
      "referrer",
      "referred",
      "checkin",
    ]);
    expect((await stats("?from=2000-01-01&to=2000-02-01")).by_day).to.deep.equal([]);
    expect(after.held_referrals).to.be.at.least(1);
    expect((await ada.call("GET", "/api/admin/rewards/stats")).error?.code).to.equal("forbidden");
    expect(await rig.metrics.text()).to.match(/tollkeeper_rewards_total\{kind="referrer"\} [1-9]/);
  });
});
