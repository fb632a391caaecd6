import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { correctEstimates } from "../../../src/usage/estimates.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import {
  answerOf,
  closed,
  DONE,
  piece,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  streamOf,
  text,
  usage,
  type Behaviour,
  type RawUpstream,
} from "./rawUpstream.ts";

const completion = (prompt: number, output: number) =>
  JSON.stringify({
    id: "c1",
    object: "chat.completion",
    created: 1,
    model: "upstream-model",
    choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
    usage: { prompt_tokens: prompt, completion_tokens: output, total_tokens: prompt + output },
  });

describe("the price of a call", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;

  before(async () => {
    relay = await startRelay(places);
    upstream = await startRawUpstream();
  });
  after(() => Promise.all([relay.close(), upstream.close()]));

  const ask = (customer: Customer, model: string, body: object = {}) =>
    fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 100, messages: [{ role: "user", content: "hi" }], ...body }),
    });
  const rule = async (fields: { multiplier: number; model: string; tier?: string; key_group?: string }) => {
    await relay.pool.query(
      "INSERT INTO price_multipliers (rule, version, name, multiplier, tier, key_group, model, status) VALUES ($1, 1, 'test', $2, $3, $4, $5, 'active')",
      [uuidv7(), fields.multiplier, fields.tier ?? null, fields.key_group ?? null, fields.model],
    );
    await announced("model");
  };
  /** Returns when this copy has forgotten what it knew. */
  async function announced(topic: "model" | "api_key", id = "*") {
    const heard = new Promise<void>((resolve) => relay.invalidation.on(topic, () => resolve()));
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', $1)", [`${topic}:${id}`]);
    await heard;
  }
  const event = async (customer: Customer) =>
    (await relay.pool.query("SELECT * FROM usage_events WHERE wallet_id = $1 ORDER BY id DESC LIMIT 1", [customer.walletId])).rows[0];

  it("is multiplied by what holds for the tier, the key's group and the model; held, charged and shown alike", async () => {
    const model = await relay.model([upstream.url]);
    const customer = await relay.customer();
    await rule({ multiplier: 500_000, model, tier: "free" });
    await rule({ multiplier: 900_000, model, key_group: "batch" });
    await rule({ multiplier: 0, model, tier: "pro" });
    await relay.pool.query("UPDATE api_keys SET key_group = 'batch' WHERE id = $1", [customer.keyId]);
    await announced("api_key", customer.keyId);
    let held: unknown;
    upstream.behave(async (socket, request) => {
      held = (await relay.balance(customer)).held;
      await answerOf(200, completion(1_500, 80))(socket, request);
    });
    const answer = await ask(customer, model, { max_tokens: 1_000 });
    expect(answer.status).to.equal(200);
    expect(answer.headers.get("x-tollkeeper-cost")).to.equal("22.41");
    expect(answer.headers.get("x-tollkeeper-price-version")).to.equal("1");
    expect(answer.headers.get("x-tollkeeper-attempts")).to.equal("1");
    await relay.settle();
    const row = await event(customer);
    // 45 + 4.8 credits, times 0.45.
    expect(row).to.include({ price_multiplier: 450_000, cost: 22_410_000n, uncharged: 0n });
    const fully = 60n * 1_000n * 1_000n;
    expect(Number(held))
      .to.be.greaterThanOrEqual(Number((fully * 45n) / 100n))
      .and.lessThan(Number((fully * 55n) / 100n));
    const { rows } = await relay.pool.query("SELECT description FROM ledger_transfers WHERE reference = $1", [row.id]);
    expect(rows).to.deep.equal([{ description: `${model}: 1500 tokens in, 80 out, × 0.45` }]);
  });

  it("is told with a whole answer where the hold covers it; a stream's head comes before its cost is known", async () => {
    const model = await relay.model([upstream.url]);
    const customer = await relay.customer();
    upstream.behave(answerOf(200, completion(1_500, 80)));
    const dear = await ask(customer, model);
    expect(dear.headers.get("x-tollkeeper-cost"), "more than was held").to.equal(null);
    upstream.behave(streamOf(text("hello"), STOP, usage(10, 2), DONE));
    const stream = await ask(customer, model, { stream: true });
    await stream.text();
    expect(stream.headers.get("x-tollkeeper-price-version")).to.equal("1");
    expect(stream.headers.get("x-tollkeeper-attempts")).to.equal("1");
    expect(stream.headers.get("x-tollkeeper-cost")).to.equal(null);
    upstream.behave(answerOf(500, "{}"));
    const failed = await ask(customer, model);
    expect([failed.status, failed.headers.get("x-tollkeeper-attempts"), failed.headers.get("x-tollkeeper-cost")]).to.deep.equal([
      502,
      "1",
      null,
    ]);
  });

  it("stays as it was when the call began, whatever changes meanwhile", async () => {
    const model = await relay.model([upstream.url]);
    const customer = await relay.customer();
    upstream.behave(async (socket, request) => {
      await rule({ multiplier: 10_000_000, model });
      await answerOf(200, completion(100, 10))(socket, request);
    });
    expect((await ask(customer, model)).status).to.equal(200);
    await relay.settle();
    expect(await event(customer)).to.include({ price_multiplier: 1_000_000, cost: 3_600_000n });
    upstream.behave(answerOf(200, completion(100, 10)));
    expect((await ask(customer, model)).status).to.equal(200);
    await relay.settle();
    expect(await event(customer)).to.include({ price_multiplier: 10_000_000, cost: 36_000_000n });
  });

  it("of a wallet that covers a call only when multiplied by less than one is enough", async () => {
    const model = await relay.model([upstream.url]);
    const customer = await relay.customer({ credits: "4" });
    expect((await ask(customer, model)).status).to.equal(402);
    await rule({ multiplier: 600_000, model });
    upstream.behave(answerOf(200, completion(10, 100)));
    expect((await ask(customer, model)).status).to.equal(200);
  });

  it("multiplied by nothing is free", async () => {
    const model = await relay.model([upstream.url]);
    const customer = await relay.customer({ credits: "0" });
    await rule({ multiplier: 0, model });
    upstream.behave(answerOf(200, completion(10, 100)));
    expect((await ask(customer, model, { max_tokens: undefined })).status).to.equal(200);
    await relay.settle();
    expect(await event(customer)).to.include({ cost: 0n, uncharged: 0n });
  });

  it("is held for with the factor that earlier calls of the model have shown", async () => {
    const model = await relay.model([upstream.url], { output: "0" });
    const customer = await relay.customer();
    const prompt = "word ".repeat(200);
    let held = 0;
    upstream.behave(async (socket, request) => {
      held = Number((await relay.balance(customer)).held);
      await answerOf(200, completion(420, 1))(socket, request);
    });
    const call = async () => {
      expect((await ask(customer, model, { messages: [{ role: "user", content: prompt }] })).status).to.equal(200);
      await relay.settle();
    };
    for (let i = 0; i < 20; i++) await call();
    const before = held;
    const { estimated_input_tokens: estimated } = (await event(customer)) as { estimated_input_tokens: number };
    expect(before).to.equal(Math.ceil(estimated * 1.1) * 30_000);
    expect(await correctEstimates(relay.pool)).to.be.greaterThanOrEqual(1);
    const percent = Math.ceil((100 * 420) / estimated);
    await waitFor(async () => {
      await call();
      return held === Math.ceil((estimated * percent) / 100) * 30_000;
    });
    expect(await correctEstimates(relay.pool), "once a day").to.equal(0);
  });
});

/** 2 dollars per 1000 tokens in, 4 out. */
const COST = { input: "2", output: "4", currency: "USD" } as const;

interface Kept {
  status: string;
  http_status?: number;
  error_code?: string;
  tokens?: { input: number; output: number };
  cost: string;
}

describe("what a call cost us", () => {
  const places = useStack();
  let relay: Relay;
  let first: RawUpstream;
  let second: RawUpstream;

  before(async () => {
    relay = await startRelay(places, { RELAY_MAX_ATTEMPTS: "2" });
    [first, second] = [await startRawUpstream(), await startRawUpstream()];
  });
  after(() => Promise.all([relay.close(), first.close(), second.close()]));

  /** Asks with a prompt of some tokens, and leaves when told to. */
  async function call(model: string, customer: Customer, body: object, leave?: { after: string }) {
    const controller = new AbortController();
    const answer = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 1_000, messages: [{ role: "user", content: "How many ways are there?" }], ...body }),
      signal: controller.signal,
    });
    if (!leave) return void (await answer.text().catch(() => undefined));
    let seen = "";
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      seen += chunk;
      if (seen.includes(leave.after)) break;
    }
    controller.abort();
  }
  const recorded = async (customer: Customer) => {
    const row = await waitFor(
      async () =>
        (await relay.pool.query("SELECT * FROM usage_events WHERE wallet_id = $1", [customer.walletId])).rows[0] as object | undefined,
      { message: "the record" },
    );
    return row as {
      attempts: Kept[];
      upstream_cost: bigint | null;
      estimated_input_tokens: number;
      output_tokens: bigint;
      billable: boolean;
    };
  };

  it("is recorded with the provider's prices of that moment", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(answerOf(200, completion(1_500, 500)));
    await call(model, customer, {});
    const row = await recorded(customer);
    expect(row).to.include({ upstream_cost: 5_000_000n, upstream_currency: "USD" });
    expect(row.attempts).to.have.length(1);
    expect(row.attempts[0]).to.include({
      upstream_model: "upstream-model",
      status: "ok",
      http_status: 200,
      cost: "5000000",
      currency: "USD",
    });
    expect(row.attempts[0]).not.to.have.any.keys("tokens", "error_code");
  });

  it("is not known when the provider's prices are not", async () => {
    const model = await relay.model([first.url]);
    const customer = await relay.customer();
    first.behave(answerOf(200, completion(10, 10)));
    await call(model, customer, {});
    const row = await recorded(customer);
    expect(row).to.include({ upstream_cost: null, upstream_currency: null });
    expect(row.attempts[0]).to.include({ status: "ok" }).and.not.have.any.keys("cost", "currency");
  });

  /** What the first provider does, and what it bills for it: nothing, the prompt as counted, or the prompt and what had come. */
  const faults: [string, Behaviour, "nothing" | "prompt"][] = [
    ["an error status", answerOf(500, "{}"), "nothing"],
    ["a rate limit", answerOf(429, "{}"), "nothing"],
    ["a closed connection", (socket) => void socket.destroy(), "nothing"],
    ["silence", (socket) => closed(socket), "prompt"],
    ["an answer that cannot be read", answerOf(200, "{]"), "prompt"],
  ];
  for (const [what, behaviour, bills] of faults) {
    it(`of ${what} is ${bills}, beside the answer of the next provider`, async () => {
      const model = await relay.model([first.url, second.url], { cost: COST, timeouts: { first_byte_ms: 200 } });
      const customer = await relay.customer();
      first.behave(behaviour);
      second.behave(answerOf(200, completion(100, 10)));
      await call(model, customer, {});
      const row = await recorded(customer);
      const prompt = row.estimated_input_tokens;
      expect(prompt).to.be.greaterThan(5);
      const [failed, answered] = row.attempts as [Kept, Kept];
      expect(row.attempts).to.have.length(2);
      expect(failed.status).to.equal("failed");
      expect(failed.cost).to.equal(String(bills === "nothing" ? 0 : prompt * 2_000));
      expect(failed.tokens).to.deep.equal(bills === "nothing" ? undefined : { input: prompt, output: 0 });
      expect(answered).to.include({ status: "ok", cost: "240000" });
      expect(row.upstream_cost).to.equal(BigInt(failed.cost) + 240_000n);
    });
  }

  it("of a stream that breaks off is the prompt and what had come, though nothing is charged", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      socket.write(piece(text("one two three four five six seven")));
      await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
    });
    await call(model, customer, { stream: true });
    const row = await recorded(customer);
    expect(row.billable).to.equal(false);
    const [broken] = row.attempts as [Kept];
    expect(Number(row.output_tokens)).to.be.greaterThan(3);
    expect(broken).to.include({ status: "failed", error_code: "upstream_closed" });
    expect(broken.cost).to.equal(String(row.estimated_input_tokens * 2_000 + Number(row.output_tokens) * 4_000));
  });

  it("of a stream that its client leaves is the prompt and what had come, beside the same sale", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      socket.write(piece(text("one two three four five six seven")));
      await closed(socket);
    });
    await call(model, customer, { stream: true }, { after: "seven" });
    const row = await recorded(customer);
    expect(row.billable).to.equal(true);
    const [left] = row.attempts as [Kept];
    expect(left).to.include({ status: "gone", error_code: "client_gone" });
    expect(left.cost).to.equal(String(row.estimated_input_tokens * 2_000 + Number(row.output_tokens) * 4_000));
  });

  it("of an answer beyond its cap, whose usage the provider does not say, counts all of it, and the charge the cap", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(streamOf(text("one two three four five six seven"), STOP, DONE));
    await call(model, customer, { stream: true, max_tokens: 3 });
    const row = await recorded(customer);
    const [long] = row.attempts as [Kept];
    expect(Number(row.output_tokens)).to.equal(3);
    expect(long.tokens!.output).to.be.greaterThan(6);
    expect(long.cost).to.equal(String(row.estimated_input_tokens * 2_000 + long.tokens!.output * 4_000));
  });

  it("of an answer that its client did not wait for is the prompt, though nothing is charged", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave((socket) => closed(socket));
    const controller = new AbortController();
    const asked = fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "How many ways are there?" }] }),
      signal: controller.signal,
    }).catch(() => undefined);
    await waitFor(() => first.requests.length === 1);
    controller.abort();
    await asked;
    const row = await recorded(customer);
    expect(row.billable).to.equal(false);
    const [left] = row.attempts as [Kept];
    expect(left.status).to.equal("gone");
    expect(left.cost).to.equal(String(row.estimated_input_tokens * 2_000));
  });
});
