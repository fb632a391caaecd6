import { expect } from "chai";
import { makeKey } from "../../../src/identity/keyFormat.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Relay } from "./harness.ts";
import { answerOf, completion, startRawUpstream, type RawUpstream } from "./rawUpstream.ts";

const MOST = 60;

describe("what is refused before a call is admitted", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places, { TRUST_PROXY: "1", REFUSED_KEYS_PER_MINUTE: "5" }), startRawUpstream()]);
    upstream.behave(answerOf(200, completion(10, 5)));
    model = await relay.model([upstream.url]);
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  async function ask(key: string, { ip = "192.0.2.1", body = {} as object | string } = {}) {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}`, "x-forwarded-for": ip },
      body: typeof body === "string" ? body : JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], ...body }),
    });
    await response.text();
    return response;
  }

  it("counts for the caller's requests a minute, whatever is wrong", async () => {
    const ada = await relay.customer({ userLimits: { requests_per_minute: 5, max_parallel: 5 } });
    const wrong = [{ body: "{" }, { body: { messages: [] } }, { body: { model: "no-such-model" } }, { body: "x".repeat(100) }];
    const seen: number[] = [];
    for (const options of wrong) seen.push((await ask(ada.key, options)).status);
    expect(seen).to.deep.equal([400, 400, 404, 400]);
    const last = await ask(ada.key);
    expect([last.status, last.headers.get("x-ratelimit-remaining-requests")]).to.deep.equal([200, "0"]);
    const refused = await ask(ada.key, { body: "{" });
    expect(refused.status).to.equal(429);
    expect(Number(refused.headers.get("retry-after"))).to.be.within(30, 61);
  });

  it("keys that are not good are not looked up without end for one address; those in use there, and other addresses, go on", async () => {
    const [ada, grace] = [await relay.customer(), await relay.customer()];
    const ip = "203.0.113.9";
    expect((await ask(ada.key, { ip })).status).to.equal(200);
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push((await ask(makeKey().key, { ip })).status);
    expect(statuses).to.deep.equal([401, 401, 401, 401, 401, 429, 429, 429]);
    const refused = await ask(makeKey().key, { ip });
    expect(Number(refused.headers.get("retry-after"))).to.be.within(30, 61);
    expect((await ask(ada.key, { ip })).status).to.equal(200);
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'api_key:*')");
    expect((await ask(ada.key, { ip })).status, "a good key that has to be read again").to.equal(200);
    expect((await ask(grace.key, { ip })).status).to.equal(429);
    expect((await ask(grace.key, { ip: "203.0.113.10" })).status).to.equal(200);
    expect((await ask(grace.key, { ip })).status, "a key that was good elsewhere").to.equal(200);
  });
});

describe("keys that are not good", () => {
  const places = useStack();
  const relays: Relay[] = [];

  afterEach(async () => {
    await Promise.all(relays.splice(0).map((relay) => relay.close()));
  });

  async function start(redisUrl: string): Promise<Relay> {
    const relay = await startRelay({ ...places, redisUrl }, { TRUST_PROXY: "1", REFUSED_KEYS_PER_MINUTE: String(MOST) });
    relays.push(relay);
    return relay;
  }
  async function tryOne({ url }: Relay, ip: string): Promise<number> {
    const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${makeKey().key}`, "x-forwarded-for": ip } });
    await answer.text();
    return answer.status;
  }

  it("are counted by all copies together", async () => {
    const [one, two] = [await start(places.redisUrl), await start(places.redisUrl)];
    const ip = "2001:db8:1:2::1";
    for (let i = 0; i < MOST; i++) expect(await tryOne(one, ip)).to.equal(401);
    expect(await tryOne(one, ip)).to.equal(429);
    let unheard = 0;
    await waitFor(async () => (await tryOne(two, "2001:db8:1:2::ffff")) === 429 || !(unheard += 1), {
      timeoutMs: 5_000,
      message: "the other copy to hear of it",
    });
    expect(unheard).to.be.below(MOST / 2);
    expect(await tryOne(two, "2001:db8:1:3::1")).to.equal(401);
  });

  it("are counted by each copy for itself while Redis is away", async () => {
    const alone = await start("redis://127.0.0.1:1");
    const ip = "203.0.113.20";
    for (let i = 0; i < MOST; i++) expect(await tryOne(alone, ip)).to.equal(401);
    expect(await tryOne(alone, ip)).to.equal(429);
  });
});
