import { expect } from "chai";
import { customer, mailedCode, operator, proveLedger, request, unique, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

const PASSWORD = "correct horse battery staple 9";

describe("rewards of a running product", () => {
  let at: Product;
  let admin: Person;
  before(async () => {
    at = await product();
    admin = await operator(at);
  });
  after(() => proveLedger(admin));

  async function set(settings: Record<string, unknown>): Promise<void> {
    const { version } = await admin.get<{ version: number }>("/api/admin/settings");
    await admin.patch("/api/admin/settings", { version, reason: "test", settings });
  }
  const total = async (who: Person) => Number((await who.get<{ total: string }>("/api/user/balance")).total);

  it("a check-in pays, once, by the table that was just set", async () => {
    await set({ "checkin.rewards": ["1.25", "2"] });
    const ada = await customer(at, admin);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ada.call("POST", "/api/user/checkin", {})));
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([201, ...Array<number>(9).fill(409)]);
    expect(answers.find(({ status }) => status === 201)!.body.data).to.include({ reward: "1.25", streak: 1, balance: "1.25" });
    expect(await ada.get("/api/user/checkin")).to.include({ checked_in_today: true, streak: 1, next_reward: "2" });
    await set({ "checkin.rewards": null });
  });

  it("a friend's first top-up pays both, and a campaign on top-ups pays with it", async () => {
    await set({ "referral.enabled": true, "referral.referrer_reward": "8", "referral.referred_reward": "3" });
    const hour = (count: number) => new Date(Date.now() + count * 3_600_000).toISOString();
    // For this test's top-up alone: nobody else buys so much.
    const campaign = await admin.post<{ id: string }>("/api/admin/campaigns", {
      code: unique("E2E"),
      name: "Launch",
      trigger: "topup",
      min_topup: "7770",
      reward: "20",
      budget: "20",
      starts_at: hour(-1),
      ends_at: hour(1),
    });
    const ada = await customer(at, admin);
    const { code } = await ada.get<{ code: string }>("/api/user/referrals");
    const email = `${unique("ben")}@example.com`;
    await request(at.api, "POST", "/api/auth/email-code", { body: { email, purpose: "register" } });
    const made = await request<{ user: { id: string }; access_token: string }>(at.api, "POST", "/api/auth/register", {
      body: { email, code: await mailedCode(at, email), password: PASSWORD, referral_code: code },
    });
    expect(made.status, JSON.stringify(made.body)).to.equal(201);
    const token = made.body.data.access_token;
    const order = await request<{ order_no: string }>(at.api, "POST", "/api/topup/orders", {
      token,
      body: { amount: "777.00", currency: "CNY", method: "epay", channel: "alipay" },
    });
    await fetch(`${at.sandbox}/orders/${order.body.data.order_no}/pay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ mode: "twice" }),
    });
    // Both are on this machine, which is a signal: an operator decides.
    const held = await waitFor(
      async () => {
        const { items } = await admin.get<{ items: { id: string; status: string; signals: string[] }[] }>(
          `/api/admin/referrals?referred_id=${made.body.data.user.id}`,
        );
        return items[0]?.status === "held" ? items[0] : undefined;
      },
      { timeoutMs: 20_000, message: "the referral to be held" },
    );
    expect(held.signals).to.include("same_network");
    await waitFor(async () => (await admin.get<{ claims: number }>(`/api/admin/campaigns/${campaign.id}`)).claims === 1, {
      timeoutMs: 20_000,
    });
    await admin.post(`/api/admin/referrals/${held.id}/review`, { decision: "pay", reason: "one office" });
    expect(await total(ada)).to.equal(8);
    const history = await request<{ items: { type: string; amount: string; description: string }[] }>(
      at.api,
      "GET",
      "/api/user/transactions",
      {
        token,
      },
    );
    expect(history.body.data.items.map(({ type, amount }) => [type, amount])).to.deep.equal([
      ["BONUS", "3"],
      ["BONUS", "20"],
      ["PURCHASE", "7770"],
    ]);
    expect(await admin.get(`/api/admin/campaigns/${campaign.id}`)).to.include({ paid: "20", claims: 1, state: "spent" });
    await set({ "referral.enabled": null, "referral.referrer_reward": null, "referral.referred_reward": null });
  });
});
