import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { customer, operator, pricedModel, request, settledBalance, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

type Item = Record<string, string | number | null>;
interface List {
  items: Item[];
}

describe("notices of a low balance", function () {
  this.timeout(90_000);
  let at: Product;
  let admin: Person;
  let model: string;

  before(async () => {
    at = await product();
    admin = await operator(at);
    model = await pricedModel(admin, at.upstream);
  });

  async function call(somebody: { key: string }): Promise<void> {
    const answer = await request(at.api, "POST", "/v1/chat/completions", {
      token: somebody.key,
      body: { model, max_tokens: 800, messages: [{ role: "user", content: "[[usage:1500,800]]" }] },
    });
    expect(answer.status).to.equal(200);
  }

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
