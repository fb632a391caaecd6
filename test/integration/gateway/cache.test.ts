import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { mintToken } from "./mint.ts";
import { answerOf, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

const WHOLE = JSON.stringify({
  choices: [{ index: 0, message: { role: "assistant", content: "One coin." }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1500, completion_tokens: 800, total_tokens: 2300 },
});

describe("the cache of answers", () => {
  const places = useStack();
  let upstream: RawUpstream;
  let relay: Relay;
  let model: string;
  let ada: Customer;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places, { CACHE_CHARGE_PERCENT: "10" });
    model = await relay.model([upstream.url]);
  });
  beforeEach(async () => {
    ada = await customer();
    upstream.behave(answerOf(200, WHOLE));
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  async function customer(cacheSeconds: number | null = 60): Promise<Customer> {
    const made = await relay.customer();
    await relay.pool.query("UPDATE api_keys SET cache_seconds = $2 WHERE id = $1", [made.keyId, cacheSeconds]);
    return made;
  }

  function ask(who = ada, more: object = {}, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${who.key}`, ...headers },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "How much is the toll?" }], ...more }),
    });
  }
  async function spent(who = ada): Promise<bigint> {
    await relay.settle();
    return 1_000_000_000n - BigInt((await relay.balance(who)).total);
  }
  const kept = (): Promise<void> =>
    waitFor(async () => (await relay.redis.keys("tk:*:answer:*")).length > 0, { timeoutMs: 2_000, message: "the answer to be kept" }).then(
      () => undefined,
    );

  afterEach(() => relay.redis.flushdb());

  it("answers nobody with what an end-user token was answered, but that token itself", async () => {
    const [ann, ben] = [await mintToken(relay, ada), await mintToken(relay, ada)];
    const of = async (key: string): Promise<string | null> => {
      const answer = await ask({ ...ada, key });
      await answer.text();
      return answer.headers.get("x-tollkeeper-cache");
    };
    expect(await of(ann)).to.equal("miss");
    await kept();
    expect(await of(ann)).to.equal("hit");
    expect(await of(ben)).to.equal("miss");
    expect(await of(ada.key)).to.equal("miss");
  });

  it("answers the same call again, byte for byte, for its share of the price", async () => {
    const first = await ask();
    expect(first.headers.get("x-tollkeeper-cache")).to.equal("miss");
    expect(await first.text()).to.equal(WHOLE);
    await kept();
    const again = await ask();
    expect(again.headers.get("x-tollkeeper-cache")).to.equal("hit");
    expect(await again.text()).to.equal(WHOLE);
    expect(upstream.requests).to.have.length(1);
    expect(await spent()).to.equal(93_000_000n + 9_300_000n);
    const event = await relay.lastEvent(ada);
    expect(event).to.include({ status: "ok", input_tokens: 1500n, output_tokens: 800n });
  });

  it("answers a stream again with the same events", async () => {
    upstream.behave(streamOf(text("One"), text(" coin."), STOP, usage(1500, 800), DONE));
    const more = { stream: true, stream_options: { include_usage: true } };
    const first = await (await ask(ada, more)).text();
    await kept();
    const again = await ask(ada, more);
    expect(await again.text()).to.equal(first);
    expect(again.headers.get("content-type")).to.match(/^text\/event-stream/);
    expect(upstream.requests).to.have.length(1);
    expect(await spent()).to.equal(102_300_000n);
  });

  it("keeps no answer that could not be charged", async () => {
    const { record } = relay.usage;
    relay.usage.record = () => Promise.reject(new Error("no room"));
    try {
      expect((await ask()).status).to.equal(503);
    } finally {
      relay.usage.record = record;
    }
    const again = await ask();
    expect(again.headers.get("x-tollkeeper-cache")).to.equal("miss");
    expect(again.status).to.equal(200);
    expect(await spent()).to.equal(93_000_000n);
  });

  it("is asked by nobody whose key does not want it", async () => {
    const grace = await customer(null);
    for (let n = 0; n < 2; n++) expect((await ask(grace)).headers.get("x-tollkeeper-cache")).to.equal(null);
    expect(upstream.requests).to.have.length(2);
  });

  it("never answers another account, another question, or another model", async () => {
    await ask();
    await kept();
    await ask(await customer());
    await ask(ada, { temperature: 0 });
    await ask(ada, { model: await relay.model([upstream.url]) });
    expect(upstream.requests).to.have.length(4);
  });

  it("is passed by when the request says so", async () => {
    await ask(ada, {}, { "cache-control": "no-store" });
    expect((await ask()).headers.get("x-tollkeeper-cache")).to.equal("miss");
    await kept();
    await ask(ada, {}, { "cache-control": "no-cache" });
    expect((await ask()).headers.get("x-tollkeeper-cache")).to.equal("hit");
    expect(upstream.requests).to.have.length(3);
  });

  it("keeps nothing that failed, or that the provider did not count", async () => {
    upstream.behave(answerOf(500, "{}"));
    await ask();
    upstream.behave(answerOf(200, JSON.stringify({ choices: [{ index: 0, message: { role: "assistant", content: "Hi" } }] })));
    await ask();
    upstream.behave(answerOf(200, WHOLE));
    expect((await ask()).headers.get("x-tollkeeper-cache")).to.equal("miss");
  });

  it("refuses an empty wallet as any call does", async () => {
    await ask();
    await kept();
    const poor = await relay.customer({ credits: "0" });
    await relay.pool.query("UPDATE api_keys SET cache_seconds = 60 WHERE id = $1", [poor.keyId]);
    expect((await ask(poor)).status).to.equal(402);
  });
});
