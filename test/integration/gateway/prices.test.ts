import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { correctEstimates } from "../../../src/usage/estimates.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, completion, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

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
