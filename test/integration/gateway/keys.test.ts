import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import {
  answerOf,
  type Behaviour,
  DONE,
  FULL,
  type RawUpstream,
  REST,
  ROLE,
  startRawUpstream,
  STOP,
  streamOf,
  text,
} from "./rawUpstream.ts";

const ENV = { PROVIDER_KEY_REST: "10m", PROVIDER_RATE_LIMIT_REST: "200ms", RELAY_MAX_ATTEMPTS: "1" };
const good = streamOf(ROLE, text(REST), STOP, FULL, DONE);

describe("the keys of a provider", () => {
  const places = useStack();
  let left: Relay;
  let right: Relay;
  let first: RawUpstream;
  let second: RawUpstream;
  let ada: Customer;

  before(async () => {
    [first, second] = await Promise.all([startRawUpstream(), startRawUpstream()]);
    [left, right] = await Promise.all([startRelay(places, ENV), startRelay(places, ENV)]);
    ada = await left.customer({ credits: "1000000" });
  });
  after(async () => {
    await Promise.all([left?.close(), right?.close()]);
    await Promise.all([first?.close(), second?.close()]);
  });

  async function call(relay: Relay, model: string, more: { headers?: object; body?: object; who?: Customer } = {}) {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${(more.who ?? ada).key}`, "content-type": "application/json", ...more.headers },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], max_tokens: 50, stream: true, ...more.body }),
    });
    return { status: response.status, text: await response.text(), retryAfter: response.headers.get("retry-after") };
  }

  const keyOf = (head: string) => /authorization: Bearer (\S+)/i.exec(head)![1]!;
  const used = (upstream: RawUpstream) => upstream.requests.map(({ head }) => keyOf(head));
  /** What each key meets; the others are well. */
  const byKey =
    (faults: Record<string, Behaviour>): Behaviour =>
    (socket, request) =>
      (faults[keyOf(request.head)] ?? good)(socket, request);

  let models = 0;
  async function served(
    keys: string[],
    more: { url?: string; keys?: string[] }[] = [],
  ): Promise<{ model: string; keys: string[]; id: string }> {
    const own = keys.map((key) => `${key}-${++models}`);
    first.behave(good);
    second.behave(good);
    const model = await left.model([first.url, ...more.map(({ url }) => url ?? second.url)], {
      providers: [{ keys: own, priority: 1 }, ...more.map(() => ({ priority: 1 }))],
    });
    await waitFor(async () => (await call(right, model)).status === 200, { timeoutMs: 3_000, message: "the model on the other copy" });
    const { rows } = await left.pool.query<{ provider_id: string }>(
      "SELECT provider_id FROM provider_models m JOIN providers p ON p.id = m.provider_id WHERE model_name = $1 AND base_url = $2",
      [model, first.url],
    );
    return { model, keys: own, id: rows[0]!.provider_id };
  }
  const resting = (relay: Relay, id: string) => relay.gateway.routing.health(id).restingKeys;

  it("are used in turn", async () => {
    const { model, keys } = await served(["a", "b", "c"]);
    first.behave(good);
    for (let i = 0; i < 6; i++) await call(left, model);
    expect(used(first)).to.deep.equal([...keys, ...keys]);
  });

  for (const [what, fault] of [
    ["401", answerOf(401, '{"error":{"message":"Incorrect API key"}}')],
    ["402", answerOf(402, "{}")],
    ["a spent account", answerOf(429, '{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}')],
  ] as const) {
    it(`one that meets ${what} rests on every copy; the call goes on with the next, and operators see an incident`, async () => {
      const { model, keys, id } = await served(["bad", "well"]);
      const [bad, well] = keys as [string, string];
      first.behave(byKey({ [bad]: fault }));
      for (let i = 0; i < 4; i++) expect((await call(left, model)).status).to.equal(200);
      expect(used(first).filter((key) => key === bad)).to.have.length(1);
      await waitFor(() => resting(right, id).length === 1, { timeoutMs: 3_000, message: "the other copy" });
      first.behave(byKey({ [bad]: fault }));
      for (let i = 0; i < 4; i++) expect((await call(right, model)).status).to.equal(200);
      expect(new Set(used(first))).to.deep.equal(new Set([well]));
      const incidents = async () =>
        (
          await left.pool.query<{ details: unknown }>(
            "SELECT details FROM incidents WHERE kind = 'provider_key_refused' AND subject LIKE $1",
            [`${id}:%`],
          )
        ).rows;
      await waitFor(async () => (await incidents()).length === 1, { timeoutMs: 3_000, message: "the incident" });
      expect(JSON.stringify(await incidents())).to.not.contain(bad);
      const { rows } = await left.pool.query("SELECT attempts::text FROM usage_events WHERE model = $1", [model]);
      expect(JSON.stringify(rows)).to.not.contain(bad);
    });
  }

  it("when none is left the call is refused at once, as the operator's problem", async () => {
    const { model } = await served(["bad"]);
    first.behave(answerOf(401, "{}"));
    expect((await call(left, model)).status).to.equal(502);
    const refused = await call(left, model);
    expect([refused.status, refused.retryAfter]).to.deep.equal([503, "600"]);
    expect(refused.text).to.contain("no_provider");
    expect(first.requests).to.have.length(1);
  });

  it("a 403 about the key rests it once three accounts met it; until then each call goes on with the next", async () => {
    const { model, keys, id } = await served(["bad", "well"]);
    const bad = keys[0]!;
    first.behave(byKey({ [bad]: answerOf(403, '{"error":{"message":"This key may not be used"}}') }));
    for (let i = 0; i < 8; i++) expect((await call(left, model)).status).to.equal(200);
    expect(resting(left, id)).to.deep.equal([]);
    const others = await Promise.all([1, 2].map(() => left.customer()));
    for (const who of [...others, ...others]) expect((await call(left, model, { who })).status).to.equal(200);
    expect(resting(left, id)).to.have.length(1);
    await waitFor(() => resting(right, id).length === 1, { timeoutMs: 3_000, message: "the other copy" });
    expect(resting(left, id)[0]).to.include({ reason: "forbidden", model: null });
  });

  it("a 403 of something in front of the provider is met once by a call, and rests no key", async () => {
    const { model, id } = await served(["a", "b", "c"], [{}]);
    first.behave(answerOf(403, "<html>Access denied by the firewall</html>", "content-type: text/html"));
    second.behave(good);
    for (let i = 1; i <= 3; i++) {
      for (const who of [ada, await left.customer()]) await call(left, model, { who });
    }
    expect(resting(left, id)).to.deep.equal([]);
    expect(first.requests.length).to.be.at.most(6);
    expect(second.requests).to.have.length(6);
  });

  it("a 402 for the length of an answer rests no key", async () => {
    const { model, id } = await served(["a", "b"]);
    first.behave(
      answerOf(402, '{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 65536"}}'),
    );
    expect((await call(left, model)).status).to.equal(502);
    expect(resting(left, id)).to.deep.equal([]);
    first.behave(good);
    expect((await call(left, model)).status).to.equal(200);
  });

  it("a 403 for what the caller wrote does not put the key out of use", async () => {
    const { model, id } = await served(["a"]);
    first.behave(answerOf(403, '{"error":{"code":403,"message":"Your input was flagged","metadata":{"flagged_input":"…"}}}'));
    expect((await call(left, model)).status).to.equal(502);
    expect(resting(left, id)).to.deep.equal([]);
    first.behave(good);
    expect((await call(left, model)).status).to.equal(200);
  });

  it("one that is limited rests for as long as the provider says, for that model alone", async () => {
    const { model, keys, id } = await served(["busy", "well"]);
    const [busy, well] = keys as [string, string];
    first.behave(byKey({ [busy]: answerOf(429, "{}", "content-type: application/json\r\nretry-after: 1") }));
    for (let i = 0; i < 4; i++) expect((await call(left, model)).status).to.equal(200);
    expect(used(first).filter((key) => key === busy)).to.have.length(1);
    const [rest] = resting(left, id);
    expect(rest).to.include({ model: "upstream-model", reason: "rate_limited" });
    expect(rest!.forMs).to.be.within(1, 1_000);
    await waitFor(() => resting(right, id).length === 1 || resting(left, id).length === 0, { timeoutMs: 3_000, message: "the other copy" });
    await waitFor(() => resting(left, id).length === 0, { timeoutMs: 3_000, message: "the end of the rest" });
    first.behave(good);
    for (let i = 0; i < 2; i++) await call(left, model);
    expect(new Set(used(first))).to.deep.equal(new Set([busy, well]));
  });

  it("that is limited without a time rests twice as long each time", async () => {
    const { model, id } = await served(["busy"]);
    first.behave(answerOf(429, "{}"));
    const rests: number[] = [];
    for (let i = 0; i < 3; i++) {
      expect((await call(left, model)).status).to.equal(429);
      rests.push(resting(left, id)[0]!.forMs);
      await waitFor(() => resting(left, id).length === 0, { timeoutMs: 3_000, everyMs: 5, message: "the end of the rest" });
    }
    expect(rests[0]).to.be.within(100, 200);
    expect(rests[1]).to.be.within(300, 400);
    expect(rests[2]).to.be.within(700, 800);
  });

  it("when all are limited the caller is told when one is ready, and the provider is left alone", async () => {
    const { model } = await served(["a", "b"]);
    first.behave(answerOf(429, "{}", "content-type: application/json\r\nretry-after: 30"));
    expect((await call(left, model)).status).to.equal(429);
    const refused = await call(left, model);
    expect([refused.status, refused.retryAfter]).to.deep.equal([429, "30"]);
    expect(refused.text).to.contain("upstream_rate_limited");
    expect(first.requests).to.have.length(2);
  });

  it("and the provider stay the same for the calls of one conversation, on every copy", async () => {
    const { model } = await served(["a", "b", "c"], [{ url: second.url }]);
    const places: string[] = [];
    for (let i = 0; i < 12; i++) {
      first.behave(good);
      second.behave(good);
      const more = i % 2 === 0 ? { headers: { "x-session-id": "chat-7" } } : { body: { prompt_cache_key: "chat-7" } };
      await call(i % 3 === 0 ? right : left, model, more);
      places.push([...used(first).map((key) => `first ${key}`), ...used(second).map((key) => `second ${key}`)].join());
    }
    expect(new Set(places).size).to.equal(1);
    const seen = new Set<string>();
    for (let i = 0; i < 30; i++) {
      first.behave(good);
      second.behave(good);
      await call(left, model, { headers: { "x-session-id": `chat-${i}` } });
      seen.add([...used(first), ...used(second)].join());
    }
    expect(seen.size).to.equal(4);
  });
});
