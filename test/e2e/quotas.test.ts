import { expect } from "chai";
import { customer, operator, pricedModel, request, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

interface Counter {
  of: string;
  unit: string;
  limit: string;
  used: string;
  held: string;
  left: string;
  resets_at: string;
}
interface Quota {
  plan: string;
  period: { starts_at: string; ends_at: string };
  resets_at: string;
  counters: Counter[];
}
interface Listed {
  items: Record<string, unknown>[];
  total: number;
}

/** Names are shared by everybody on the product. */
const unique = (name: string) => `${name}${Date.now().toString(36)}`;

describe("plans and quotas", () => {
  let at: Product;
  let admin: Person;
  let ada: Person & { key: string };
  let model: string;
  let plan: string;

  before(async () => {
    at = await product();
    admin = await operator(at);
    ada = await customer(at, admin, { credits: "100" });
    model = await pricedModel(admin, at.upstream);
    plan = unique("plan");
  });

  const asAdmin = <T = Record<string, unknown>>(method: string, path: string, body?: unknown) =>
    request<T>(at.api, method, path, { token: admin.token, ...(body === undefined ? {} : { body }) });
  const quota = async (token = ada.token) => (await request<Quota>(at.api, "GET", "/api/user/quota", { token })).body.data;
  const call = () =>
    request<unknown>(at.api, "POST", "/v1/chat/completions", {
      token: ada.key,
      body: { model, max_tokens: 100, messages: [{ role: "user", content: "[[usage:100,10]]" }] },
    });
  const userId = async () => (await request<{ id: string }>(at.api, "GET", "/api/user/me", { token: ada.token })).body.data.id;

  it("an operator makes a plan, and a bad one is refused by the name of its field", async () => {
    const made = await asAdmin("POST", "/api/admin/plans", {
      name: plan,
      display_name: "Two calls",
      allowance: "50",
      price: "9.90",
      limits: { quota_requests: 2, quota_tokens: 100_000 },
      change_takes_effect: "now",
    });
    expect(made.status).to.equal(201);
    expect(made.body.data).to.deep.include({
      name: plan,
      version: 1,
      allowance: "50",
      price: "9.90",
      reset_day: 1,
      time_zone: "Asia/Shanghai",
    });
    expect((await asAdmin("POST", "/api/admin/plans", { name: plan, display_name: "Again" })).status).to.equal(409);
    for (const [field, value] of [
      ["reset_day", 32],
      ["time_zone", "Mars/Olympus"],
      ["price", "1.234"],
      ["limits", { quota_requests: 0 }],
      ["change_takes_effect", "yesterday"],
    ] as const) {
      const refused = await asAdmin("POST", "/api/admin/plans", { name: unique("bad"), display_name: "Bad", [field]: value });
      expect(refused.status, field).to.equal(400);
      expect(JSON.stringify(refused.body)).to.include(field);
    }
    expect((await request(at.api, "GET", "/api/admin/plans", { token: ada.token })).status).to.equal(403);
  });

  it("whoever is subscribed has its allowance and quotas at once, and is refused when they are used up", async () => {
    const id = await userId();
    const put = await asAdmin<{ plan: string }>("PUT", `/api/admin/users/${id}/plan`, { plan, reason: "bought" });
    expect([put.status, put.body.data.plan]).to.deep.equal([200, plan]);
    expect((await asAdmin("POST", "/api/admin/quotas/run", {})).status).to.equal(202);
    const granted = async () => {
      const { body } = await request<{ sources: { source: string; amount: string; expires_at: string }[] }>(
        at.api,
        "GET",
        "/api/user/balance",
        {
          token: ada.token,
        },
      );
      return body.data.sources.find(({ source }) => source === "allowance");
    };
    await waitFor(async () => (await granted()) !== undefined, { timeoutMs: 20_000, message: "the allowance" });
    const { period, resets_at, counters } = await quota();
    expect((await granted())!.expires_at).to.equal(resets_at);
    expect(Number((await granted())!.amount)).to.be.within(0.01, 50);
    expect(period.ends_at).to.equal(resets_at);
    expect(counters.map(({ of, unit, used, resets_at: at }) => [of, unit, used, at])).to.deep.equal([
      ["account", "requests", "0", resets_at],
      ["account", "tokens", "0", resets_at],
    ]);
    const before = await quota();
    expect(before.counters[0]).to.include({ limit: "2", left: "2" });

    expect((await call()).status).to.equal(200);
    expect((await call()).status).to.equal(200);
    await waitFor(async () => (await quota()).counters[1]!.used === "220", { timeoutMs: 10_000, message: "both calls to be counted" });
    expect((await quota(ada.key)).counters[0]).to.include({ used: "2", held: "0", left: "0" });
    const seen = await asAdmin<Quota>("GET", `/api/admin/users/${id}/quota`);
    expect(seen.body.data.counters[0]).to.include({ of: "account", used: "2", left: "0" });
    expect((await request(at.api, "GET", `/api/admin/users/${id}/quota`, { token: ada.token })).status).to.equal(403);
    const refused = await call();
    expect(refused.status).to.equal(429);
    expect(JSON.stringify(refused.body)).to.include("quota_exceeded");
  });

  it("a quota of the user's own goes before the plan's, and its plan's change counts at once", async () => {
    const id = await userId();
    expect((await asAdmin("PATCH", `/api/admin/users/${id}`, { limits: { quota_requests: 3 } })).status).to.equal(200);
    await waitFor(async () => (await call()).status === 200, { timeoutMs: 5_000, message: "the new quota" });
    expect((await asAdmin("PATCH", `/api/admin/users/${id}`, { limits: null })).status).to.equal(200);
    const changed = await asAdmin("PATCH", `/api/admin/plans/${plan}`, { limits: { quota_requests: 1_000 }, reason: "more" });
    expect(changed.body.data).to.include({ version: 2, reason: "more" });
    // The share of the new quota for the rest of the period, at least: 1000 for its last hour are 1 and some.
    await waitFor(async () => Number((await quota()).counters[0]!.limit) > 2, { timeoutMs: 5_000, message: "the plan's new quota" });
    const versions = (await asAdmin<Listed>("GET", `/api/admin/plans/${plan}/versions`)).body.data;
    expect(versions.items.map((item) => item["version"])).to.deep.equal([2, 1]);
  });

  it("a change for the next period is shown and changes nothing now", async () => {
    const id = await userId();
    const { body } = await asAdmin<{ plan: string; next: { plan: string; reset_day: number; from: string }; period: { ends_at: string } }>(
      "PUT",
      `/api/admin/users/${id}/plan`,
      { plan: "free", reset_day: 31, takes_effect: "next_period" },
    );
    expect(body.data.plan).to.equal(plan);
    expect(body.data.next).to.deep.include({ plan: "free", reset_day: 31, from: body.data.period.ends_at });
    const { items } = (await asAdmin<Listed>("GET", `/api/admin/users/${id}/periods`)).body.data;
    expect(items[0]).to.deep.include({ plan, stated_at: null });
    expect((await request<Listed>(at.api, "GET", "/api/user/billing/statements", { token: ada.token })).body.data).to.include({ total: 0 });
    expect((await request(at.api, "GET", "/api/user/billing/statements/1", { token: ada.token })).status).to.equal(404);
  });

  it("a dry run shows what is due and starts nothing", async () => {
    const { status, body } = await asAdmin<{ dry_run: boolean; periods: unknown[] }>("POST", "/api/admin/quotas/run", { dry_run: true });
    expect(status).to.equal(200);
    expect(body.data.dry_run).to.equal(true);
  });

  it("tiers and tier rules are set, tried and refused where they could make somebody go up and down", async () => {
    const tier = unique("tier");
    expect(
      (await asAdmin("PUT", `/api/admin/tiers/${tier}`, { limits: { quota_requests: 5, max_parallel: 4 }, weights: { [model]: 250 } }))
        .status,
    ).to.equal(200);
    const kept = await asAdmin<{ weights: object }>("PUT", `/api/admin/tiers/${tier}`, { limits: { quota_requests: 6 } });
    expect(kept.body.data).to.deep.include({ limits: { quota_requests: 6 }, weights: { [model]: 250 } });
    const rules = {
      enabled: false,
      start_tier: "free",
      cool_down_days: 7,
      levels: [{ tier: "free" }, { tier, enter: { age_days: 0, spent: "0.01", score: 50 }, stay: { score: 30 } }],
    };
    const tried = await asAdmin<{ items: { user_id: string }[] }>("POST", "/api/admin/tier-rules/dry-run", { rules });
    expect(tried.status).to.equal(200);
    const upAndDown = { ...rules, levels: [rules.levels[0], { tier, enter: { score: 50 }, stay: { score: 60 } }] };
    expect((await asAdmin("PUT", "/api/admin/tier-rules", { rules: upAndDown })).status).to.equal(400);
    expect((await asAdmin("PUT", "/api/admin/tier-rules", { rules: { ...rules, start_tier: "nowhere" } })).status).to.equal(400);
    const put = await asAdmin<{ version: number }>("PUT", "/api/admin/tier-rules", { rules, reason: "first" });
    expect(put.status).to.equal(200);
    expect((await asAdmin<{ version: number }>("GET", "/api/admin/tier-rules")).body.data.version).to.equal(put.body.data.version);
    expect((await request<Listed>(at.api, "GET", "/api/user/tier-decisions", { token: ada.token })).body.data.total).to.equal(0);
  });
});
