import http from "node:http";
import type { AddressInfo } from "node:net";
import { parse } from "csv-parse/sync";
import { expect } from "chai";
import { customer, operator, pricedModel, request, settledBalance, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

type Item = Record<string, string | number | null>;
interface List {
  items: Item[];
  totals: Item;
}

describe("1500 and 800 tokens at 30 and 60", function () {
  this.timeout(90_000);
  let at: Product;
  let admin: Person;
  let grace: Person & { key: string };
  let model: string;

  before(async () => {
    at = await product();
    admin = await operator(at);
    model = await pricedModel(admin, at.upstream);
    grace = await customer(at, admin, { credits: "200" });
    await call(grace);
  });

  async function call(somebody: { key: string }): Promise<void> {
    const answer = await request(at.api, "POST", "/v1/chat/completions", {
      token: somebody.key,
      body: { model, max_tokens: 800, messages: [{ role: "user", content: "[[usage:1500,800]]" }] },
    });
    expect(answer.status).to.equal(200);
  }

  async function csv(path: string, somebody: Person): Promise<Record<string, string>[]> {
    const answer = await fetch(at.api + path, { headers: { authorization: `Bearer ${somebody.token}` } });
    expect(answer.status).to.equal(200);
    return parse(await answer.text(), { columns: true });
  }

  it("are 93 wherever they are shown", async () => {
    expect(await settledBalance(grace)).to.include({ available: "107" });
    const asked = `model=${model}&input_tokens=1500&output_tokens=800`;
    expect((await grace.get<Item>(`/api/user/points/estimate?${asked}`))["estimated_cost"], "estimate").to.equal("93");
    const body = { model, estimated_input_tokens: 1_500, estimated_output_tokens: 800 };
    expect(await grace.post<Item>("/api/user/points/check-balance", body)).to.include({
      estimated_cost: "93",
      can_proceed: true,
      balance: "107",
    });
    for (const path of ["/api/user/points/history", "/api/user/transactions"]) {
      const { items } = await grace.get<List>(`${path}?type=CONSUMPTION`);
      expect(items[0], path).to.include({ amount: "-93", balance_after: "107" });
    }
    expect((await grace.get<List>("/api/user/usage")).items[0], "usage").to.include({
      cost: "93",
      input_tokens: 1_500,
      output_tokens: 800,
    });
    for (const group of ["day", "hour", "model", "key"])
      expect((await grace.get<List>(`/api/user/usage/stats?group_by=${group}`)).totals, group).to.include({ requests: 1, cost: "93" });
    expect((await csv("/api/user/usage/export.csv", grace))[0]).to.include({ cost: "93", model });
    expect((await csv("/api/user/transactions/export.csv?type=CONSUMPTION", grace))[0]).to.include({ amount: "-93", model });
    expect((await csv(`/api/admin/usage/export.csv?user=${grace.id}`, admin))[0]).to.include({ cost: "93", user_id: grace.id });
    expect((await grace.get<List>("/api/user/billing?type=consumption")).items[0], "bill").to.include({ credits: "93" });
    expect((await grace.get<List>("/api/user/usage/report")).totals, "report").to.include({ cost: "93" });
    expect(await grace.get<Item>("/api/user/usage/forecast"), "forecast").to.include({ spent: "93" });
    const { totals } = await admin.get<List>(`/api/admin/usage/stats?group_by=model&user=${grace.id}`);
    expect(totals, "operators").to.include({ cost: "93" });
    const prices = await request<List>(at.api, "GET", `/api/models/${model}/prices`);
    expect(prices.body.data.items[0]).to.include({ version: 1, input_price: "30", output_price: "60" });
  });

  it("tell who wanted to know that less than 100 is left, by mail and by webhook, once", async () => {
    const received: { headers: http.IncomingHttpHeaders; body: string }[] = [];
    const server = http.createServer((req, res) => {
      let body = "";
      req.on("data", (chunk: Buffer) => (body += chunk.toString()));
      req.on("end", () => {
        received.push({ headers: req.headers, body });
        res.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const ada = await customer(at, admin, { credits: "150" });
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/low`;
      const set = await ada.call<{ webhook: { secret: string } }>("PUT", "/api/user/notices", { thresholds: ["100"], webhook: { url } });
      expect(set.status).to.equal(200);
      expect(set.body.data.webhook.secret).to.match(/^whsec_/);
      await call(ada);
      await settledBalance(ada);
      const notice = await waitFor(() => received[0], { timeoutMs: 60_000, message: "the webhook" });
      expect(JSON.parse(notice.body)).to.deep.include({ type: "balance.low", data: { user_id: ada.id, threshold: "100", balance: "57" } });
      expect(notice.headers["x-signature"]).to.match(/^sha256=[0-9a-f]{64}$/);
      const mail = await waitFor(
        async () => {
          const answer = await fetch(`${at.inbox}/messages?to=${encodeURIComponent(ada.email)}`);
          return ((await answer.json()) as { subject: string; text: string }[]).find(({ subject }) =>
            subject.includes("below 100 credits"),
          );
        },
        { timeoutMs: 30_000, message: "the mail" },
      );
      expect(mail.text).to.contain("57");
      const log = await waitFor(async () => {
        const { items } = await ada.get<List>("/api/user/notices/deliveries");
        return items[0]?.["state"] === "delivered" ? items : undefined;
      });
      expect(log).to.have.length(1);
      expect((await ada.call("PUT", "/api/user/notices", { thresholds: ["0"] })).status).to.equal(400);
      expect((await ada.call("PUT", "/api/user/notices", { sms: true })).status).to.equal(400);
      const byKey = await request(at.api, "PUT", "/api/user/notices", { token: ada.key, body: { email: false } });
      expect(byKey.status, "a key may not change where notices go").to.equal(403);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
