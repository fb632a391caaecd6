import { expect } from "chai";
import { customer, operator, proveLedger, settledBalance, type Person } from "../support/people.ts";
import { product, waitFor, type Product } from "../support/stack.ts";

interface Sent {
  message_id: string;
  status: number;
  body: { data?: { consumptionId: string; pointsDeducted: number; tokensUsed: number } };
}
interface Paged<T> {
  items: T[];
  total: number;
}

/** The demo Dify answers through the relay and reports the same message by its webhook, as `npm start` sets both up. */
describe("a message of a Dify app that reports it, too", function () {
  this.timeout(120_000);
  let at: Product;
  let admin: Person;

  before(async () => {
    at = await product();
    admin = await operator(at);
  });
  after(() => proveLedger(admin));

  async function ask(directive: string) {
    const ada = await customer(at, admin, { credits: "1000" });
    const { key } = await ada.post<{ key: string }>("/api/user/keys", { name: "app", models: ["demo-dify"] });
    const response = await fetch(`${at.api}/dify/v1/chat-messages`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ query: `Hello [[usage:1500,800]] ${directive}`, inputs: {}, user: "end-user", response_mode: "blocking" }),
    });
    const answer = (await response.json()) as { message_id: string };
    expect(response.status, JSON.stringify(answer)).to.equal(200);
    return { ada, messageId: answer.message_id };
  }

  async function sentFor(messageId: string, times: number): Promise<Sent[]> {
    return (await waitFor(
      async () => {
        const response = await fetch(`${at.dify}/webhooks`, { headers: { authorization: "Bearer app-demo" } });
        const { sent } = (await response.json()) as { sent: Sent[] };
        const mine = sent.filter((one) => one.message_id === messageId);
        return mine.length === times ? mine : undefined;
      },
      { timeoutMs: 30_000, message: "the webhooks" },
    )) as Sent[];
  }

  for (const [when, directive, times] of [
    ["before its answer is out", "[[webhook:early]]", 1],
    ["at once and once more", "[[webhook:twice]]", 2],
    ["later", "[[webhook:late]]", 1],
  ] as const) {
    it(`${when} costs 93 points once`, async () => {
      const { ada, messageId } = await ask(directive);
      for (const { status, body } of await sentFor(messageId, times)) {
        expect([status, body.data?.pointsDeducted, body.data?.tokensUsed], JSON.stringify(body)).to.deep.equal([200, 93, 2_300]);
      }
      expect((await settledBalance(ada)).total).to.equal("907");
    });
  }

  it("is 93 points in history, transactions, usage, bills and the operators' list alike", async () => {
    const { ada, messageId } = await ask("[[webhook:once]]");
    await sentFor(messageId, 1);
    await settledBalance(ada);
    const [charge] = (await ada.get<Paged<{ amount: string }>>("/api/user/points/history?type=CONSUMPTION")).items;
    expect(charge!.amount).to.equal("-93");
    expect((await ada.get<Paged<{ amount: string }>>("/api/user/transactions?type=CONSUMPTION")).total).to.equal(1);
    const usage = await ada.get<Paged<{ cost: string }>>("/api/user/usage");
    expect(usage.items.reduce((sum, { cost }) => sum + Number(cost), 0)).to.equal(93);
    const bills = await ada.get<Paged<{ credits: string; status: string }>>("/api/user/billing?type=consumption");
    expect(bills.items.map(({ credits, status }) => [credits, status])).to.deep.equal([["93", "completed"]]);
    const events = await admin.get<Paged<{ points: string; state: string }>>(`/api/admin/dify/events?message_id=${messageId}`);
    expect(events.items.map(({ points, state }) => [points, state])).to.deep.equal([["93", "charged"]]);
  });
});
