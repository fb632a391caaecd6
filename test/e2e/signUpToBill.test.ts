import { expect } from "chai";
import OpenAI from "openai";
import { operator, pricedModel, proveLedger, register, settledBalance, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

interface Order {
  order_no: string;
  status: string;
  credits: string;
  pay_url: string;
  workflow_id: string;
}

async function topUp(at: Product, somebody: Person, amount: string): Promise<Order> {
  const order = await somebody.post<Order>("/api/topup/orders", { amount, currency: "CNY", method: "epay", channel: "alipay" });
  const paid = await fetch(`${at.sandbox}/orders/${order.order_no}/pay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ mode: "ok" }),
  });
  expect(paid.status).to.equal(200);
  return (await waitFor(
    async () => {
      const now = await somebody.get<Order>(`/api/topup/orders/${order.order_no}`);
      return now.status === "completed" ? now : undefined;
    },
    { timeoutMs: 20_000, message: "the order to be completed" },
  )) as Order;
}

describe("from sign-up to the bill", () => {
  it("1500 and 800 tokens at 30 and 60 per 1000 cost exactly 93 credits everywhere", async () => {
    const at = await product();
    const admin = await operator(at);
    const model = await pricedModel(admin, at.upstream);
    const ada = await register(at);
    const order = await topUp(at, ada, "50.00");

    const before = await ada.get<{ available: string }>("/api/user/balance");
    expect(before.available).to.equal(order.credits);

    const { key } = await ada.post<{ key: string }>("/api/user/keys", { name: "first" });
    const openai = new OpenAI({ apiKey: key, baseURL: `${at.api}/v1` });
    const stream = await openai.chat.completions.create({
      model,
      messages: [{ role: "user", content: "Hello [[usage:1500,800]]" }],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(text).to.not.equal("");
    expect(usage).to.include({ prompt_tokens: 1500, completion_tokens: 800 });

    const after = await settledBalance(ada);
    expect(Number(before.available) - Number(after.available)).to.equal(93);

    const used = await ada.get<{ items: { cost: string; input_tokens: number; output_tokens: number; status: string }[] }>(
      "/api/user/usage",
    );
    expect(used.items).to.have.length(1);
    expect(used.items[0]).to.include({ cost: "93", input_tokens: 1500, output_tokens: 800, status: "ok" });

    const history = await ada.get<{ items: { type: string; amount: string; balance_after: string }[] }>("/api/user/points/history");
    expect(history.items.map((item) => [item.type, item.amount])).to.deep.equal([
      ["CONSUMPTION", "-93"],
      ["PURCHASE", order.credits],
    ]);
    expect(history.items[0]!.balance_after).to.equal(after.total);

    const bills = await ada.get<{ items: { type: string; credits: string; status: string }[] }>("/api/user/billing");
    expect(bills.items.map((bill) => [bill.type, bill.credits, bill.status])).to.deep.equal([
      ["consumption", "93", "completed"],
      ["topup", order.credits, "completed"],
    ]);
    await proveLedger(admin);
  });

  it("a call without streaming costs the same", async () => {
    const at = await product();
    const admin = await operator(at);
    const model = await pricedModel(admin, at.upstream);
    const ada = await register(at);
    await topUp(at, ada, "50.00");
    const before = await ada.get<{ available: string }>("/api/user/balance");
    const { key } = await ada.post<{ key: string }>("/api/user/keys", { name: "first" });
    const openai = new OpenAI({ apiKey: key, baseURL: `${at.api}/v1` });
    const answer = await openai.chat.completions.create({ model, messages: [{ role: "user", content: "Hello [[usage:1500,800]]" }] });
    expect(answer.usage).to.include({ prompt_tokens: 1500, completion_tokens: 800 });
    const after = await settledBalance(ada);
    expect(Number(before.available) - Number(after.available)).to.equal(93);
    await proveLedger(admin);
  });
});
