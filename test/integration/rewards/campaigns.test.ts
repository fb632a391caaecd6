import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { unique } from "../../support/people.ts";
import { useStack } from "../../support/stack.ts";
import { prove, rewardsRig, type Page, type Rig, type Somebody } from "./rig.ts";

interface Campaign extends Record<string, unknown> {
  id: string;
  code: string;
}

describe("campaigns", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
  });
  beforeEach(() => rig.clock.set(Date.now()));
  afterEach(() => prove(rig));
  after(() => rig.close());

  const hours = (count: number) => new Date(Date.now() + count * 3_600_000).toISOString();
  const code = () => unique("C").slice(0, 20);
  const body = (more: object = {}) => ({
    code: code(),
    name: "Spring",
    starts_at: hours(-1),
    ends_at: hours(1),
    reward: "10",
    budget: "100",
    ...more,
  });
  async function make(more: object = {}): Promise<Campaign> {
    const { status, data, message } = await rig.operator.call<Campaign>("POST", "/api/admin/campaigns", body(more));
    expect(status, message).to.equal(201);
    return data;
  }
  const get = async ({ id }: Campaign) => (await rig.operator.call<Campaign>("GET", `/api/admin/campaigns/${id}`)).data;
  const claim = (who: Somebody, campaign: Campaign, key?: string) =>
    who.call("POST", `/api/user/campaigns/${campaign.code}/claim`, {}, key ? { "idempotency-key": key } : {});
  const offers = async (who: Somebody) => (await who.call<Page>("GET", "/api/user/campaigns")).data.items;

  it("pay whoever claims them, at once and with type BONUS", async () => {
    const campaign = await make({ name: "Spring festival", expires_days: 3 });
    const ada = await rig.somebody();
    expect((await offers(ada)).find((offer) => offer["code"] === campaign.code)).to.include({ claimable: true, claimed: 0, reason: null });
    const claimed = await claim(ada, campaign);
    expect([claimed.status, claimed.data]).to.deep.equal([
      201,
      { code: campaign.code, reward: "10", balance: "10", claimed_at: rig.clock.now().toISOString() },
    ]);
    const { items } = (await ada.call<Page>("GET", "/api/user/transactions")).data;
    expect(items[0]).to.include({ type: "BONUS", amount: "10", description: "Campaign: Spring festival", source: "bonus" });
    const again = await claim(ada, { ...campaign, code: campaign.code.toLowerCase() });
    expect([again.status, again.error?.code]).to.deep.equal([409, "already_claimed"]);
    expect((await offers(ada)).find((offer) => offer["code"] === campaign.code)).to.include({
      claimable: false,
      claimed: 1,
      reason: "most_per_user",
    });
    const balance = (await ada.call<{ sources: { expires_at: string }[] }>("GET", "/api/user/balance")).data;
    expect(Date.parse(balance.sources[0]!.expires_at) - rig.clock.now().getTime()).to.equal(3 * 86_400_000);
    expect(await get(campaign)).to.include({ paid: "10", claims: 1, state: "running" });
  });

  it("with a budget for 10 and 200 takers pay 10", async () => {
    const campaign = await make({ reward: "1.5", budget: "15.9" });
    const takers = await Promise.all(Array.from({ length: 200 }, () => rig.somebody()));
    const answers = await Promise.all(takers.map((taker) => claim(taker, campaign)));
    expect(answers.filter(({ status }) => status === 201)).to.have.length(10);
    const refused = answers.filter(({ status }) => status !== 201);
    for (const { status, error } of refused)
      expect([status, error?.code, error?.details]).to.deep.equal([409, "campaign_closed", { reason: "budget_spent" }]);
    expect(await get(campaign)).to.include({ paid: "15", claims: 10, state: "spent" });
    const totals = await Promise.all(takers.map((taker) => taker.total()));
    expect(totals.reduce((sum, total) => sum + total, 0n)).to.equal(15n * MICRO);
    const claims = await rig.operator.call<Page>("GET", `/api/admin/campaigns/${campaign.id}/claims?page_size=100`);
    expect([claims.data.total, new Set(claims.data.items.map((item) => item["user_id"])).size]).to.deep.equal([10, 10]);
  });

  it("pay a person as often as they say, however often it is asked at once", async () => {
    const campaign = await make({ most_per_user: 3, budget: "1000" });
    const ada = await rig.somebody();
    const answers = await Promise.all(Array.from({ length: 50 }, () => claim(ada, campaign)));
    expect(answers.filter(({ status }) => status === 201)).to.have.length(3);
    expect(answers.filter(({ error }) => error?.code === "already_claimed")).to.have.length(47);
    expect(await ada.total()).to.equal(30n * MICRO);
    expect(await get(campaign)).to.include({ paid: "30", claims: 3 });
  });

  it("answer the same Idempotency-Key alike, also when the first answer was lost", async () => {
    const campaign = await make({ most_per_user: 2, budget: "10" });
    const ada = await rig.somebody();
    const answers = await Promise.all(Array.from({ length: 20 }, () => claim(ada, campaign, "k")));
    for (const { status, data } of answers) expect([status, data]).to.deep.equal([201, answers[0]!.data]);
    await rig.pool.query("DELETE FROM idempotency_keys");
    expect((await claim(ada, campaign, "k")).data).to.deep.equal(answers[0]!.data);
    expect(await ada.total()).to.equal(10n * MICRO);
  });

  it("are only for whom they are meant, and say what is missing", async () => {
    const reasonOf = async (who: Somebody, campaign: Campaign) => {
      const { status, error } = await claim(who, campaign);
      return [status, error?.code, error?.details?.["reason"]];
    };
    const old = await rig.somebody();
    const young = await rig.somebody({ since: hours(-30) });
    const fresh = await make({ new_within_days: 2 });
    expect(await reasonOf(old, fresh)).to.deep.equal([403, "not_eligible", "new_users_only"]);
    expect((await claim(young, fresh)).status).to.equal(201);

    const pro = await rig.somebody({ tier: "pro" });
    const tiered = await make({ tiers: ["pro", "standard"] });
    expect(await reasonOf(old, tiered)).to.deep.equal([403, "not_eligible", "tier"]);
    expect((await claim(pro, tiered)).status).to.equal(201);

    const buyers = await make({ min_topup: "100" });
    await rig.topUp(old, 99);
    expect(await reasonOf(old, buyers)).to.deep.equal([403, "not_eligible", "min_topup"]);
    await rig.topUp(old, 100);
    expect((await claim(old, buyers)).status).to.equal(201);

    const unproven = await rig.somebody({ verified: false });
    expect((await claim(unproven, await make())).error?.code).to.equal("email_not_verified");
    expect((await claim(old, { id: "", code: "no-such-code" })).status).to.equal(404);
  });

  it("pay nothing before they begin, after they end, or while they are paused", async () => {
    const ada = await rig.somebody();
    const campaign = await make({ starts_at: hours(1), ends_at: hours(2) });
    const refusal = async () => (await claim(ada, campaign)).error?.details?.["reason"];
    expect(await refusal()).to.equal("not_running");
    rig.clock.set(hours(2));
    expect(await refusal()).to.equal("not_running");
    rig.clock.set(hours(1.5));
    const patch = (changes: object) => rig.operator.call<Campaign>("PATCH", `/api/admin/campaigns/${campaign.id}`, changes);
    expect((await patch({ status: "paused" })).data).to.include({ state: "paused" });
    expect(await refusal()).to.equal("not_running");
    await patch({ status: "active" });
    expect((await claim(ada, campaign)).status).to.equal(201);
  });

  it("that are not listed are for those who know their code; lists show what runs", async () => {
    const ada = await rig.somebody();
    const hidden = await make({ listed: false });
    const later = await make({ starts_at: hours(1), ends_at: hours(2) });
    const codes = (await offers(ada)).map((offer) => offer["code"]);
    expect(codes).to.not.include(hidden.code).and.not.include(later.code);
    expect((await claim(ada, hidden)).status).to.equal(201);
  });

  it("on top-ups are paid by themselves, once for each top-up, and never beyond their budget", async () => {
    const campaign = await make({ trigger: "topup", min_topup: "50", most_per_user: 2, reward: "5", budget: "15" });
    const [ada, ben] = [await rig.somebody(), await rig.somebody()];
    expect((await claim(ada, campaign)).status, "it cannot be claimed").to.equal(404);
    const follow = async (who: Somebody, credits: number) => {
      const order = await rig.topUp(who, credits);
      await Promise.all([1, 2, 3].map(() => rig.rewards.topUps.follow(order)));
      return who.total();
    };
    expect(await follow(ada, 49)).to.equal(49n * MICRO);
    expect(await follow(ada, 50)).to.equal(104n * MICRO);
    expect(await follow(ada, 50)).to.equal(159n * MICRO);
    expect(await follow(ada, 50), "as often as it says").to.equal(209n * MICRO);
    expect(await follow(ben, 60)).to.equal(65n * MICRO);
    expect(await follow(ben, 60), "the budget is spent").to.equal(125n * MICRO);
    expect(await get(campaign)).to.include({ paid: "15", claims: 3, state: "spent" });
    await rig.operator.call("PATCH", `/api/admin/campaigns/${campaign.id}`, { status: "paused" });
  });

  it("on top-ups pay what was earned while they ran, by the terms of that moment, whatever became of them since", async () => {
    const deliver = () => rig.rewards.topUps.deliver();
    const patch = (campaign: Campaign, changes: object) => rig.operator.call("PATCH", `/api/admin/campaigns/${campaign.id}`, changes);
    for (const changes of [{ status: "paused" }, { ends_at: hours(-0.5) }, { reward: "1", min_topup: "90", tiers: ["pro"] }]) {
      const campaign = await make({ trigger: "topup" });
      const [ada, ben] = [await rig.somebody(), await rig.somebody()];
      await rig.topUp(ada, 50);
      expect((await patch(campaign, changes)).status).to.equal(200);
      expect((await rig.operator.call("DELETE", `/api/admin/campaigns/${campaign.id}`)).error?.code, "it owes a reward").to.equal(
        "invalid_state",
      );
      await rig.topUp(ben, 50);
      await deliver();
      expect([await ada.total(), await ben.total()], JSON.stringify(changes)).to.deep.equal([60n * MICRO, 50n * MICRO]);
      expect(await get(campaign)).to.include({ paid: "10", claims: 1 });
      await patch(campaign, { status: "paused" });
    }
  });

  it("on top-ups that were paused or not begun when the top-up was complete pay nothing for it", async () => {
    const paused = await make({ trigger: "topup", status: "paused" });
    const later = await make({ trigger: "topup", starts_at: hours(1), ends_at: hours(2) });
    const ada = await rig.somebody();
    await rig.topUp(ada, 50);
    await rig.operator.call("PATCH", `/api/admin/campaigns/${paused.id}`, { status: "active" });
    await rig.operator.call("PATCH", `/api/admin/campaigns/${later.id}`, { starts_at: hours(-1) });
    await rig.rewards.topUps.deliver();
    expect(await ada.total()).to.equal(50n * MICRO);
    for (const { id } of [paused, later]) await rig.operator.call("PATCH", `/api/admin/campaigns/${id}`, { status: "paused" });
  });

  it("are made, changed and removed by operators, each change in the audit log", async () => {
    const campaign = await make({ description: "For everybody" });
    const at = `/api/admin/campaigns/${campaign.id}`;
    expect((await rig.operator.call("POST", "/api/admin/campaigns", body({ code: campaign.code.toUpperCase() }))).error?.code).to.equal(
      "conflict",
    );
    const patch = (changes: object) => rig.operator.call<Campaign>("PATCH", at, changes);
    expect((await patch({ reward: "4", name: "Autumn", listed: false, tiers: ["pro"] })).data).to.deep.include({
      reward: "4",
      name: "Autumn",
      listed: false,
      tiers: ["pro"],
      budget: "100",
      description: "For everybody",
    });
    await patch({ tiers: null });
    await claim(await rig.somebody(), campaign);
    expect((await patch({ budget: "3" })).error?.code).to.equal("validation_failed");
    expect((await patch({ ends_at: hours(-2) })).error?.code).to.equal("validation_failed");
    expect((await rig.operator.call("DELETE", at)).error?.code).to.equal("invalid_state");
    const unused = await make();
    expect((await rig.operator.call("DELETE", `/api/admin/campaigns/${unused.id}`)).status).to.equal(204);
    expect((await rig.operator.call("GET", `/api/admin/campaigns/${unused.id}`)).status).to.equal(404);
    const { rows } = await rig.pool.query<{ action: string }>("SELECT action FROM audit_log WHERE target = ANY($1) ORDER BY id", [
      [`campaign:${campaign.id}`, `campaign:${unused.id}`],
    ]);
    expect(rows.map((row) => row.action)).to.deep.equal([
      "campaign.create",
      "campaign.update",
      "campaign.update",
      "campaign.create",
      "campaign.delete",
    ]);
    const ada = await rig.somebody();
    expect((await ada.call("POST", "/api/admin/campaigns", body())).error?.code).to.equal("forbidden");
  });

  it("with wrong input are refused by field", async () => {
    for (const [more, field] of [
      [{ code: "a b" }, "code"],
      [{ reward: "0" }, "reward"],
      [{ reward: "-1" }, "reward"],
      [{ budget: "9.99" }, "budget"],
      [{ ends_at: hours(-2) }, "ends_at"],
      [{ starts_at: "2026-11-21" }, "starts_at"],
      [{ most_per_user: 0 }, "most_per_user"],
      [{ tiers: [] }, "tiers"],
      [{ extra: 1 }, "extra"],
    ] as const) {
      const { status, error } = await rig.operator.call("POST", "/api/admin/campaigns", body(more));
      expect([status, (error?.details as unknown as { field: string }[])?.map((problem) => problem.field)], field).to.deep.equal([
        400,
        [field],
      ]);
    }
  });

  it("a process that dies while it pays leaves budget, claim and credit as they were", async () => {
    const campaign = await make();
    const ada = await rig.somebody();
    await rig.pool
      .query(`CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
      CREATE TRIGGER die AFTER INSERT ON campaign_claims FOR EACH ROW EXECUTE FUNCTION die()`);
    try {
      expect((await claim(ada, campaign)).status).to.be.oneOf([500, 503]);
    } finally {
      await rig.pool.query("DROP TRIGGER die ON campaign_claims; DROP FUNCTION die");
    }
    expect([await ada.total(), (await get(campaign))["paid"]]).to.deep.equal([0n, "0"]);
    expect((await claim(ada, campaign)).status).to.equal(201);
  });
});
