import { expect } from "chai";
import { formatCredits, parseCredits } from "../../src/platform/credits.ts";
import { parseDecimal } from "../../src/platform/decimal.ts";
import { customer, operator, proveLedger, settledBalance, unique, type Balance, type Person, type Product } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

interface Used {
  id: string;
  key_id: string;
  model: string;
  input_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  cache_write_1h_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  price_multiplier: string;
  cost: string | null;
  status: string;
  estimated: boolean;
}
interface Totals {
  requests: number;
  failed: number;
  input_tokens: number;
  output_tokens: number;
  cost: string;
}
interface Page<T> {
  items: T[];
  total: number;
}

const micro = (text: string) => parseCredits(text)!;
const sum = (amounts: bigint[]) => amounts.reduce((total, next) => total + next, 0n);
const costs = (calls: Used[]) => sum(calls.map((call) => micro(call.cost!)));

/** Every kind of price a call of tokens has, in credits per 1000, and one per request. */
const PRICES = {
  input_price: "3.1",
  output_price: "15.7",
  cached_input_price: "0.31",
  cache_write_price: "3.9",
  cache_write_1h_price: "6.3",
  reasoning_price: "17.3",
  request_price: "0.0123",
};
/** What the provider bills, in yuan. */
const COST = { input_price: "0.2", output_price: "1", price_currency: "CNY" };

/** The cost of a call from nothing but what its user sees, added up the long way. */
function worth(call: Used): bigint {
  const price = (name: keyof typeof PRICES) => micro(PRICES[name]);
  const short = call.cache_write_tokens - call.cache_write_1h_tokens;
  const plain = call.input_tokens - call.cached_input_tokens - call.cache_write_tokens;
  const thousandths =
    BigInt(plain) * price("input_price") +
    BigInt(call.cached_input_tokens) * price("cached_input_price") +
    BigInt(short) * price("cache_write_price") +
    BigInt(call.cache_write_1h_tokens) * price("cache_write_1h_price") +
    BigInt(call.output_tokens - call.reasoning_tokens) * price("output_price") +
    BigInt(call.reasoning_tokens) * price("reasoning_price") +
    1_000n * price("request_price");
  const divisor = 1_000n * 1_000_000n;
  return (thousandths * parseDecimal(call.price_multiplier, 6)! + divisor - 1n) / divisor;
}

describe("what people see, what limits counted and what was charged", () => {
  let at: Product;
  let admin: Person;

  before(async () => {
    at = await product();
    admin = await operator(at);
  });

  async function model(format: "openai" | "claude"): Promise<string> {
    const name = unique(format);
    await admin.post("/api/admin/models", { name, ...PRICES, max_output_tokens: 2_000 });
    const provider = await admin.post<{ id: string }>("/api/admin/providers", {
      name: unique("provider"),
      base_url: at.upstream,
      api_key: "upstream-key",
      api_format: format,
    });
    await admin.post(`/api/admin/providers/${provider.id}/models`, { model_name: name, upstream_model: "demo-chat", ...COST });
    return name;
  }

  it("are the same in every figure, with every class of tokens, multipliers, failures and clients that leave", async () => {
    const ada = await customer(at, admin, { credits: "10000" });
    const [first] = (await ada.get<Page<{ id: string }>>("/api/user/keys")).items;
    const second = await ada.post<{ id: string; key: string }>("/api/user/keys", { name: "batches" });
    await admin.call("PUT", `/api/admin/keys/${second.id}/group`, { group: "nightly" });
    const [chat, claude] = [await model("openai"), await model("claude")];
    await admin.post("/api/admin/multipliers", { name: unique("nightly"), multiplier: "0.333333", key_group: "nightly", model: chat });
    await admin.post("/api/admin/multipliers", { name: unique("free"), multiplier: "0.7", tier: "free", model: chat });
    const before = await ada.get<Balance>("/api/user/balance");

    const say = async (key: string, content: string, more: object = {}) => {
      const answer = await fetch(`${at.api}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ model: chat, max_tokens: 1_000, messages: [{ role: "user", content }], ...more }),
      });
      return { status: answer.status, told: answer.headers.get("x-tollkeeper-cost"), text: await answer.text() };
    };
    const message = (content: string, more: object = {}) =>
      fetch(`${at.api}/v1/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json", "anthropic-version": "2023-06-01" },
        body: JSON.stringify({ model: claude, max_tokens: 1_000, messages: [{ role: "user", content }], ...more }),
      }).then((answer) => answer.text());

    const classes = "[[usage:1501,707 cached=299 cache_write=101 reasoning=53]]";
    const told: string[] = [];
    for (const key of [ada.key, second.key]) {
      const whole = await say(key, `Short ${"word ".repeat(1_500)} ${classes}`);
      expect(whole.status).to.equal(200);
      told.push(whole.told!);
      await say(key, classes, { stream: true });
      await say(key, "Count what is said, for nobody else does [[fault:no_usage]]", { stream: true });
      expect((await say(key, "[[fault:status code=400]]")).status).to.equal(400);
      expect((await say(key, "[[fault:die_mid_stream after=3]]", { stream: true })).text).to.contain("error");
    }
    await message(`[[usage:1700,31 cached=500 cache_write=300 cache_write_1h=200]]`);
    await message(`[[usage:1700,31 cached=500 cache_write=300 cache_write_1h=200]]`, { stream: true });
    const leaving = new AbortController();
    const left = await fetch(`${at.api}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: chat, stream: true, messages: [{ role: "user", content: "[[chunks:200]] [[pace:20ms]]" }] }),
      signal: leaving.signal,
    });
    for await (const _chunk of left.body!) break;
    leaving.abort();

    const calls = await waitFor(
      async () => {
        const { items } = await ada.get<Page<Used>>("/api/user/usage?page_size=100");
        return items.length === 13 && items.every((call) => call.cost !== null) ? items : undefined;
      },
      { timeoutMs: 30_000, message: "every call to be settled" },
    );
    const after = await settledBalance(ada);
    const charged = calls!.filter((call) => call.status !== "failed");
    expect(calls!.filter((call) => call.status === "failed").map((call) => call.cost)).to.deep.equal(["0", "0", "0", "0"]);
    expect(calls!.filter((call) => call.status === "client_gone")).to.have.length(1);
    expect(new Set(charged.map((call) => `${call.model === chat} ${call.price_multiplier}`))).to.deep.equal(
      new Set(["true 0.7", "true 0.233333", "false 1"]),
    );
    expect(charged.filter((call) => call.estimated)).to.have.length(3);

    expect(charged.filter((call) => call.model === claude).map((call) => call.cache_write_1h_tokens)).to.deep.equal([200, 200]);
    for (const call of charged) expect(call.cost, JSON.stringify(call)).to.equal(formatCredits(worth(call)));
    expect(charged.map((call) => call.cost)).to.include.members(told);
    const total = costs(calls!);
    expect(formatCredits(micro(before.total) - micro(after.total)), "the balance").to.equal(formatCredits(total));

    const history = await ada.get<Page<{ amount: string; reference: string; description: string }>>(
      "/api/user/points/history?type=CONSUMPTION&page_size=100",
    );
    const posted = new Map(history.items.map((item) => [item.reference, item]));
    expect(history.total).to.equal(charged.length);
    for (const call of charged) {
      expect(posted.get(call.id)?.amount).to.equal(`-${call.cost}`);
      expect(posted.get(call.id)?.description).to.contain(`${call.input_tokens} tokens in, ${call.output_tokens} out`);
    }

    const byKey = {
      [first!.id]: calls!.filter((call) => call.key_id === first!.id),
      [second.id]: calls!.filter((call) => call.key_id === second.id),
    };
    for (const [keyId, own] of Object.entries(byKey)) {
      const paid = own.filter((call) => call.status !== "failed");
      const { totals, days } = await ada.get<{ totals: Totals; days: Totals[] }>(`/api/user/keys/${keyId}/usage`);
      const expected: Totals = {
        requests: own.length,
        failed: own.length - paid.length,
        input_tokens: paid.reduce((tokens, call) => tokens + call.input_tokens, 0),
        output_tokens: paid.reduce((tokens, call) => tokens + call.output_tokens, 0),
        cost: formatCredits(costs(own)),
      };
      expect(totals).to.deep.equal(expected);
      expect(formatCredits(sum(days.map((day) => micro(day.cost))))).to.equal(expected.cost);
      const ofKey = await ada.get<Page<{ amount: string }>>(`/api/user/points/history?key=${keyId}&page_size=100`);
      expect(formatCredits(-sum(ofKey.items.map((item) => parseCredits(item.amount, { signed: true })!)))).to.equal(expected.cost);
    }

    const bills = await ada.get<Page<{ credits: string }>>("/api/user/billing?type=consumption&page_size=100");
    expect(formatCredits(sum(bills.items.map((bill) => micro(bill.credits))))).to.equal(formatCredits(total));
    const stats = await ada.get<{ by_type: { type: string; count: number; credits: string }[] }>("/api/user/billing/stats");
    expect(stats.by_type.find((row) => row.type === "consumption")).to.include({ count: charged.length, credits: formatCredits(total) });

    for (const name of [chat, claude]) {
      const margin = await admin.get<{ items: { requests: number; attempts: number; sale: string; cost_in_credits: string }[] }>(
        `/api/admin/margin?group_by=model&model=${name}`,
      );
      const own = calls!.filter((call) => call.model === name);
      expect(margin.items[0]).to.include({ requests: own.length, sale: formatCredits(costs(own)) });
      const details = await Promise.all(
        own.map((call) => admin.get<{ cost_in_credits: string; attempts: object[] }>(`/api/admin/usage/${call.id}`)),
      );
      expect(margin.items[0]!.attempts).to.equal(details.reduce((count, detail) => count + detail.attempts.length, 0));
      expect(margin.items[0]!.cost_in_credits).to.equal(formatCredits(sum(details.map((detail) => micro(detail.cost_in_credits)))));
    }
    await proveLedger(admin);
  });
});
