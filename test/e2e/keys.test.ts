import { expect } from "chai";
import { customer, operator, pricedModel, proveLedger, request, settledBalance, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

interface Key {
  id: string;
  key: string;
  last_used_at: string | null;
  last_used_from: string | null;
}
interface Token {
  id: string;
  token: string;
  status: string;
  spent: string;
}
interface Usage {
  totals: { requests: number; cost: string };
  today: { requests: number; cost: string };
  month: { cost: string };
  budgets: { of: string; limit: string; amount: string; spent: string; held: string; left: string; resets_at: string | null }[];
}

/** What a customer sees of keys, their limits and tokens, on the running product. */
describe("keys with limits, and tokens made with them", () => {
  let at: Product;
  let admin: Person;
  let ada: Person;
  let model: string;

  before(async function () {
    this.timeout(120_000);
    at = await product();
    admin = await operator(at);
    model = await pricedModel(admin, at.upstream, { input: "0", output: "100" });
    ada = await customer(at, admin, { credits: "1000" });
  });

  /** 10 credits, held and charged. */
  async function call(key: string): Promise<{ status: number; code?: string | undefined; balance: string | null }> {
    const response = await fetch(`${at.api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, max_tokens: 100, messages: [{ role: "user", content: "Go [[usage:0,100]]" }] }),
    });
    const { error } = (await response.json()) as { error?: { code: string } };
    return { status: response.status, code: error?.code, balance: response.headers.get("x-tollkeeper-balance") };
  }

  it("a limit set on a key that was used counts what it spent, and its usage says what is left", async () => {
    const { id, key } = await ada.post<Key>("/api/user/keys", { name: "limited later" });
    expect(await call(key)).to.deep.include({ status: 200, balance: "990" });
    await settledBalance(ada);
    await ada.patch(`/api/user/keys/${id}`, { limits: { spend_daily: "25", spend_total: "1000" } });
    await waitFor(async () => (await call(key)).status === 200);
    await settledBalance(ada);
    expect(await call(key)).to.include({ status: 429, code: "spend_limit_reached" });
    const usage = await ada.get<Usage>(`/api/user/keys/${id}/usage`);
    expect(usage.today).to.include({ requests: 2, cost: "20" });
    expect(usage.month.cost).to.equal("20");
    const [total, daily] = usage.budgets;
    expect(total).to.include({ of: "key", limit: "spend_total", amount: "1000", spent: "20", held: "0", left: "980", resets_at: null });
    expect(daily).to.include({ of: "key", limit: "spend_daily", amount: "25", spent: "20", held: "0", left: "5" });
    const reset = Date.parse(daily!.resets_at!) - Date.now();
    expect(reset).to.be.within(0, 24 * 3_600_000);
    const shown = await waitFor(async () => {
      const found = await ada.get<Key>(`/api/user/keys/${id}`);
      return found.last_used_at ? found : undefined;
    });
    expect(shown.last_used_from).to.match(/127\.0\.0\.1$/);
    await ada.patch(`/api/user/keys/${id}`, { limits: { spend_daily: "35" } });
    await waitFor(async () => (await call(key)).status === 200);
    await settledBalance(ada);
    await proveLedger(admin);
  });

  it("a day whose limit is spent stays so in whatever time zone its account moves to", async () => {
    const bob = await customer(at, admin, { credits: "100" });
    const { id, key } = await bob.post<Key>("/api/user/keys", { name: "ten a day", limits: { spend_daily: "10" } });
    expect((await call(key)).status).to.equal(200);
    await settledBalance(bob);
    // 25 hours apart: wherever one begins, one of them has another date.
    for (const time_zone of ["Pacific/Kiritimati", "Pacific/Pago_Pago"]) {
      await bob.patch("/api/user/me", { time_zone });
      expect(await call(key), time_zone).to.include({ status: 429, code: "spend_limit_reached" });
      const [daily] = (await bob.get<Usage>(`/api/user/keys/${id}/usage`)).budgets;
      expect(daily, time_zone).to.include({ amount: "10", spent: "10", left: "0" });
      expect(Date.parse(daily!.resets_at!) - Date.now(), time_zone).to.be.within(0, 49 * 3_600_000);
    }
  });

  it("a server mints a token for its end user, who spends it and no more; revoked, it is gone within a second", async () => {
    const { id, key } = await ada.post<Key>("/api/user/keys", { name: "server" });
    const mint = (body: object) => request<Token>(at.api, "POST", "/api/keys/tokens", { token: key, body });
    const made = await mint({ budget: "15", ttl_seconds: 60, end_user: "visitor 7" });
    expect(made.status, JSON.stringify(made.body)).to.equal(201);
    const { token } = made.body.data;
    expect((await call(token)).status).to.equal(200);
    await settledBalance(ada);
    expect(await call(token)).to.include({ status: 429, code: "spend_limit_reached" });
    expect((await call(key)).status).to.equal(200);
    await settledBalance(ada);
    const list = await ada.get<{ items: Token[] }>(`/api/user/keys/${id}/tokens`);
    expect(list.items.map(({ status, spent }) => [status, spent])).to.deep.equal([["active", "10"]]);
    expect((await request(at.api, "GET", "/api/user/balance", { token })).status).to.equal(403);
    const other = (await mint({ budget: "15" })).body.data;
    expect((await call(other.token)).status).to.equal(200);
    expect((await ada.call("DELETE", `/api/user/keys/${id}/tokens/${other.id}`)).status).to.equal(200);
    await waitFor(async () => (await call(other.token)).status === 401, { timeoutMs: 1_000 });
    const usage = await ada.get<{ items: { token_id: string | null }[] }>(`/api/user/usage?key=${id}`);
    expect(usage.items.map((item) => item.token_id).sort()).to.deep.equal([null, made.body.data.id, other.id].sort());
    await settledBalance(ada);
    await proveLedger(admin);
  });
});
