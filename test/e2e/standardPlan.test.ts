import { expect } from "chai";
import { customer, operator, pricedModel, proveLedger, request, type Person } from "../support/people.ts";
import { ownProduct, waitFor, type Product } from "../support/stack.ts";

interface Quota {
  plan: string;
  period: { starts_at: string; ends_at: string };
  counters: { unit: string; limit: string; used: string; left: string; resets_at: string }[];
}
interface Plan {
  plan: string;
  reset_day: number;
  time_zone: string;
  next: { plan: string; reset_day: number; time_zone: string; from: string } | null;
}
interface Periods {
  items: { starts_at: string; ends_at: string; plan: string; granted: string }[];
}

describe("the standard plan", function () {
  this.timeout(120_000);
  let at: Product;
  let admin: Person;
  let ada: Person & { key: string };
  let model: string;
  let began: Quota;

  before(async () => {
    at = await ownProduct();
    admin = await operator(at);
    ada = await customer(at, admin, { credits: "100" });
    model = await pricedModel(admin, at.upstream);
  });
  after(() => at.stack.destroy());

  const change = (plan: string, fields: object) => admin.patch(`/api/admin/plans/${plan}`, fields);
  const quota = () => ada.get<Quota>("/api/user/quota");
  const planOf = () => admin.get<Plan>(`/api/admin/users/${ada.id}/plan`);
  const periods = async () => (await admin.get<Periods>(`/api/admin/users/${ada.id}/periods`)).items;
  const call = async () =>
    (
      await request(at.api, "POST", "/v1/chat/completions", {
        token: ada.key,
        body: { model, max_tokens: 100, messages: [{ role: "user", content: "[[usage:100,10]]" }] },
      })
    ).status;
  const used = async () => Number((await quota()).counters[0]?.used);
  /** Runs by hand, one after the other, until something is so: a run that is about to end may not have seen what changed. */
  const runUntil = (condition: () => Promise<boolean>, message: string) =>
    waitFor(
      async () => {
        await admin.post("/api/admin/quotas/run", {});
        return condition();
      },
      { timeoutMs: 20_000, message, everyMs: 200 },
    );
  const run = () =>
    runUntil(
      async () => (await admin.post<{ subscriptions: number }>("/api/admin/quotas/run", { dry_run: true })).subscriptions === 0,
      "all periods to be open",
    );

  it("has a period for everybody, and counts", async () => {
    await run();
    await change("free", { limits: { quota_requests: 1_000_000 }, change_takes_effect: "now" });
    await waitFor(async () => (await quota()).counters.length === 1, { timeoutMs: 5_000, message: "the quota" });
    expect(await call()).to.equal(200);
    expect(await call()).to.equal(200);
    await waitFor(async () => (await used()) === 2, { timeoutMs: 10_000, message: "two calls" });
    began = await quota();
    expect(await periods()).to.have.length(1);
  });

  it("with another reset day and zone goes on in the period that has begun: it ends as it would have, and what was used stays used", async () => {
    const day = new Date(Date.parse(began.period.ends_at) + 12 * 86_400_000).getUTCDate();
    await change("free", { reset_day: day, time_zone: "UTC" });
    const { next, reset_day } = await planOf();
    expect(reset_day).to.equal(1);
    expect(next).to.deep.equal({ plan: "free", reset_day: day, time_zone: "UTC", from: began.period.ends_at });
    expect(await call()).to.equal(200);
    await waitFor(async () => (await used()) === 3, { timeoutMs: 10_000, message: "the third call beside the other two" });
    const after = await quota();
    expect(after.period).to.deep.equal(began.period);
    expect(after.counters[0]!.resets_at).to.equal(began.period.ends_at);
    await run();
    expect(await periods()).to.have.length(1);
    await change("free", { reset_day: 1, time_zone: "Asia/Shanghai" });
    expect((await planOf()).next).to.equal(null);
  });

  it("may be another one, now: everybody has its quotas and the share of its allowance, once, however often it comes and goes", async () => {
    await admin.post("/api/admin/plans", {
      name: "basic",
      display_name: "Basic",
      allowance: "1000000",
      limits: { quota_requests: 2_000_000 },
      change_takes_effect: "now",
    });
    const granted = async () => Number((await periods())[0]!.granted);
    await change("basic", { standard: true });
    await waitFor(async () => (await quota()).plan === "basic", { timeoutMs: 5_000, message: "the new standard plan" });
    await runUntil(async () => (await granted()) > 0, "its allowance");
    const first = await granted();
    expect(first).to.be.lessThan(1_000_000);
    const { counters, period } = await quota();
    expect(period).to.deep.equal(began.period);
    expect(Number(counters[0]!.limit)).to.be.within(1_000_000, 2_000_000);
    expect(Number(counters[0]!.used)).to.equal(3);
    await change("free", { standard: true });
    await waitFor(async () => (await quota()).plan === "free", { timeoutMs: 5_000, message: "the old standard plan" });
    await run();
    await change("basic", { standard: true });
    await waitFor(async () => (await quota()).plan === "basic", { timeoutMs: 5_000, message: "the new one again" });
    // Whoever comes now is granted his part by a run that has seen all of it.
    const bob = await customer(at, admin);
    const bobs = () => admin.get<Periods>(`/api/admin/users/${bob.id}/periods`);
    await runUntil(async () => (await bobs()).items.length === 1, "the period of somebody new");
    await runUntil(async () => (await periods())[0]!.plan === "basic", "the plan of the period");
    const items = await periods();
    expect(items).to.have.length(1);
    expect(Number(items[0]!.granted)).to.equal(first);
    expect(await used()).to.equal(3);
    expect(await call()).to.equal(200);
    await proveLedger(admin);
  });

  it("is kept by whoever leaves it until he leaves: his period stays, the new plan's day comes with the next", async () => {
    const { starts_at, ends_at } = began.period;
    await admin.post("/api/admin/plans", { name: "pro", display_name: "Pro", reset_day: 17, time_zone: "UTC", change_takes_effect: "now" });
    const put = await admin.call<Plan & Quota>("PUT", `/api/admin/users/${ada.id}/plan`, { plan: "pro" });
    expect(put.status).to.equal(200);
    expect(put.body.data).to.deep.include({ plan: "pro", reset_day: 1, period: { starts_at, ends_at } });
    expect(put.body.data.next).to.deep.equal({ plan: "pro", reset_day: 17, time_zone: "UTC", from: ends_at });
    expect((await periods()).map((one) => [one.starts_at, one.ends_at, one.plan])).to.deep.equal([[starts_at, ends_at, "pro"]]);
    await change("basic", { reset_day: 9 });
    expect((await planOf()).next).to.deep.include({ reset_day: 17 });
  });
});
