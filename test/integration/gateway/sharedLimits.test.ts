import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { closed, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

describe("limits of every kind, as callers of two copies meet them", () => {
  const places = useStack();
  let upstream: RawUpstream;
  let copies: Relay[];
  let model: string;

  before(async () => {
    upstream = await startRawUpstream();
    copies = [await startRelay(places, { TRUST_PROXY: "1" }), await startRelay(places, { TRUST_PROXY: "1" })];
    model = await copies[0]!.model([upstream.url]);
  });
  after(async () => {
    for (const copy of copies ?? []) await copy.close();
    await upstream?.close();
  });
  beforeEach(async () => {
    await clear();
    // 10 in, 5 out, and a cap of 10: a call reserves about 20 tokens and uses 15.
    upstream.behave(streamOf(text("a"), STOP, usage(10, 5), DONE));
  });

  const announce = () => copies[0]!.pool.query("SELECT pg_notify('tollkeeper_changed', 'settings:limits')");
  async function clear(): Promise<void> {
    await copies[0]!.pool.query("DELETE FROM gateway_limits");
    await announce();
  }
  async function set(scope: string, limits: object, options: { model?: string; mode?: string; weight?: number } = {}): Promise<void> {
    await copies[0]!.pool.query(
      "INSERT INTO gateway_limits (id, scope, model, mode, limits, token_weight_percent) VALUES ($1, $2, $3, $4, $5, $6)",
      [uuidv7(), scope, options.model ?? null, options.mode ?? "enforce", limits, options.weight ?? null],
    );
    await announce();
  }
  /** Waits until a rule that was set is in force everywhere; each test uses other limits, so that none is taken for another's. */
  const inForce = (check: (copy: Relay) => boolean | Promise<boolean>) =>
    waitFor(async () => (await Promise.all(copies.map(check))).every(Boolean), { timeoutMs: 1_000, message: "the limit to be in force" });

  interface Options {
    copy?: number;
    ip?: string;
    model?: string;
    body?: object;
    signal?: AbortSignal;
  }
  function call(customer: Customer, options: Options = {}): Promise<Response> {
    return fetch(`${copies[options.copy ?? 0]!.url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${customer.key}`,
        "x-forwarded-for": options.ip ?? "192.0.2.1",
      },
      ...(options.signal ? { signal: options.signal } : {}),
      body: JSON.stringify({
        model: options.model ?? model,
        stream: true,
        max_tokens: 10,
        messages: [{ role: "user", content: "hi" }],
        ...options.body,
      }),
    });
  }
  const done = async (response: Promise<Response>): Promise<Response> => {
    const answer = await response;
    await answer.text();
    return answer;
  };
  const burst = (count: number, customer: Customer, options: (i: number) => Options = () => ({})): Promise<Response[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => done(call(customer, { copy: i % 2, ...options(i) }))));
  const allowed = (responses: Response[]): number => responses.filter(({ status }) => status === 200).length;
  const wide = { requests_per_minute: 100_000, max_parallel: 1_000 };
  const limitOf = async (copy: Relay, customer: Customer, header: string, options: Options = {}): Promise<string | null> =>
    (await done(call(customer, { copy: copies.indexOf(copy), ...options }))).headers.get(header);

  it("requests a minute of all callers together", async () => {
    const ada = await copies[0]!.customer({ userLimits: wide });
    await set("global", { requests_per_minute: 41 });
    await inForce(async (copy) => (await limitOf(copy, ada, "x-ratelimit-limit-requests")) === "41");
    const responses = [...(await burst(40, ada)), ...(await burst(40, await copies[0]!.customer({ userLimits: wide })))];
    // What it took to see the limit in force has been counted as well.
    expect(allowed(responses)).to.be.within(30, 39);
    const refused = responses.find(({ status }) => status === 429)!;
    expect(refused.headers.get("x-ratelimit-remaining-requests")).to.equal("0");
    expect(Number(refused.headers.get("retry-after-ms"))).to.be.within(50_000, 121_000);
    expect((await done(call(ada))).status).to.equal(429);
  });

  it("requests of each address, whoever calls from it", async () => {
    await set("ip", { requests_per_minute: 7 });
    const [ada, grace] = [await copies[0]!.customer({ userLimits: wide }), await copies[0]!.customer({ userLimits: wide })];
    await inForce(
      async (copy) => (await limitOf(copy, ada, "x-ratelimit-limit-requests", { ip: `198.51.100.${copies.indexOf(copy)}` })) === "7",
    );
    const answers = await Promise.all([burst(10, ada, () => ({ ip: "203.0.113.1" })), burst(10, grace, () => ({ ip: "203.0.113.1" }))]);
    expect(allowed(answers.flat())).to.equal(7);
    expect(allowed(await burst(10, ada, () => ({ ip: "203.0.113.2" })))).to.equal(7);
    // One host has a whole /64 of IPv6.
    expect(allowed(await burst(10, ada, (i) => ({ ip: `2001:db8:0:1::${i}` })))).to.equal(7);
    expect(allowed(await burst(10, ada, (i) => ({ ip: `2001:db8:0:${i + 2}::1` })))).to.equal(10);
  });

  it("calls at once of each model, and of one model less", async () => {
    const small = await copies[0]!.model([upstream.url]);
    await set("model", { max_parallel: 5 });
    await set("model", { max_parallel: 2 }, { model: small });
    const ada = await copies[0]!.customer({ userLimits: wide });
    upstream.behave((socket) => closed(socket));
    const before = upstream.requests.length;
    const controller = new AbortController();
    const statuses: number[] = [];
    const calls = Array.from({ length: 20 }, (_, i) =>
      call(ada, { copy: i % 2, model: i < 10 ? model : small, signal: controller.signal }).then(
        ({ status }) => statuses.push(status),
        () => undefined,
      ),
    );
    await waitFor(() => statuses.length === 13, { timeoutMs: 5_000, message: "13 refusals" });
    // The last of the others may still be on their way.
    await waitFor(() => upstream.requests.length - before >= 7, { timeoutMs: 5_000, message: "7 calls at the provider" });
    expect(upstream.requests.length - before).to.equal(7);
    expect(new Set(statuses)).to.deep.equal(new Set([429]));
    controller.abort();
    await Promise.all(calls);
    upstream.behave(streamOf(text("a"), STOP, usage(1, 1), DONE));
    await waitFor(async () => allowed(await burst(4, ada)) === 4, { timeoutMs: 5_000, message: "the places to return" });
  });

  it("tokens a minute: what calls use counts, what they only reserved returns", async () => {
    const ada = await copies[0]!.customer({ userLimits: { ...wide, tokens_per_minute: 200 } });
    const first = await done(call(ada));
    expect([first.headers.get("x-ratelimit-limit-tokens"), first.status]).to.deep.equal(["200", 200]);
    const reserved = 200 - Number(first.headers.get("x-ratelimit-remaining-tokens"));
    expect(reserved).to.be.within(15, 25);
    let count = 1;
    while ((await done(call(ada, { copy: count % 2 }))).status === 200) count += 1;
    // 15 each, as long as one more reservation has room.
    expect(count).to.equal(Math.floor((200 - reserved) / 15) + 1);
    const refused = await done(call(ada));
    expect(Number(refused.headers.get("x-ratelimit-remaining-tokens"))).to.equal(200 - count * 15);
    expect(refused.headers.get("x-ratelimit-reset-tokens")).to.match(/^(5\d(\.\d+)?s|1m0s)$/);
  });

  it("tokens a minute: parallel calls with pictures that only the provider sees do not get past the limit", async () => {
    // Each picture is likely 1600 tokens and 5000 at most: beside one call's no other has room.
    const ada = await copies[0]!.customer({ userLimits: { ...wide, tokens_per_minute: 9_000 } });
    const picture = { type: "image_url", image_url: { url: "https://example.com/toll.png" } };
    upstream.behave(streamOf(text("a"), STOP, usage(4_900, 5), DONE));
    expect(allowed(await burst(5, ada, () => ({ body: { messages: [{ role: "user", content: [picture] }] } })))).to.equal(1);
  });

  it("tokens of a call that failed or whose client left before any content are given back", async () => {
    const ada = await copies[0]!.customer({ userLimits: { ...wide, tokens_per_minute: 200 } });
    upstream.behave((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"));
    for (let i = 0; i < 20; i++) expect((await done(call(ada, { copy: i % 2 }))).status).to.equal(400);
    upstream.behave((socket) => closed(socket));
    const controller = new AbortController();
    const seen = upstream.requests.length;
    const left = call(ada, { signal: controller.signal }).catch(() => undefined);
    await waitFor(() => upstream.requests.length > seen, { timeoutMs: 3_000, message: "the call" });
    controller.abort();
    await left;
    upstream.behave(streamOf(text("a"), STOP, usage(10, 5), DONE));
    await waitFor(
      async () => {
        const answer = await done(call(await Promise.resolve(ada), { body: { max_tokens: 1 } }));
        return Number(answer.headers.get("x-ratelimit-remaining-tokens")) > 150;
      },
      { timeoutMs: 3_000, message: "the tokens to return" },
    );
  });

  it("tokens of a heavy model weigh more, and a prompt that can never pass is told so", async () => {
    const heavy = await copies[0]!.model([upstream.url]);
    await set("model", {}, { model: heavy, weight: 500 });
    const ada = await copies[0]!.customer({ userLimits: { ...wide, tokens_per_minute: 200 } });
    await inForce(async (copy) => {
      const one = await copies[0]!.customer({ userLimits: { ...wide, tokens_per_minute: 1_000 } });
      return Number(await limitOf(copy, one, "x-ratelimit-remaining-tokens", { model: heavy })) < 940;
    });
    const first = await done(call(ada, { model: heavy }));
    expect(first.status).to.equal(200);
    const refused = await done(call(ada, { model: heavy, body: { max_tokens: 20 } }));
    expect([refused.status, refused.headers.get("x-should-retry")]).to.deep.equal([429, null]);
    expect(allowed(await burst(3, ada))).to.equal(3);
    const words = "word ".repeat(50);
    const never = await done(call(ada, { model: heavy, body: { messages: [{ role: "user", content: words }] } }));
    expect([never.status, never.headers.get("x-should-retry"), never.headers.get("retry-after")]).to.deep.equal([429, "false", null]);
    expect((await done(call(ada, { body: { messages: [{ role: "user", content: words }] } }))).status).to.equal(200);
  });

  it("a limit in shadow mode refuses nobody", async () => {
    await set("global", { requests_per_minute: 3, max_parallel: 1 }, { mode: "shadow" });
    const ada = await copies[0]!.customer({ userLimits: wide });
    expect(allowed(await burst(30, ada))).to.equal(30);
    const { status, headers } = await done(call(ada));
    expect([status, headers.get("x-ratelimit-limit-requests")]).to.deep.equal([200, "100000"]);
  });

  it("requests a second", async () => {
    const ada = await copies[0]!.customer({ userLimits: { ...wide, requests_per_second: 5 } });
    const responses = await burst(40, ada);
    expect(allowed(responses)).to.be.within(5, 15);
    const refused = responses.filter(({ status }) => status === 429);
    expect(Math.max(...refused.map(({ headers }) => Number(headers.get("retry-after-ms"))))).to.be.within(1, 2_001);
  });

  it("a client that waits as long as it is told gets through", async () => {
    const ada = await copies[0]!.customer({ userLimits: { ...wide, requests_per_second: 2 } });
    await burst(3, ada);
    const refused = await done(call(ada));
    expect(refused.status).to.equal(429);
    const waitMs = Number(refused.headers.get("retry-after-ms"));
    const since = performance.now();
    await waitFor(() => performance.now() - since >= waitMs, { timeoutMs: 3_000, message: "the time told" });
    expect((await done(call(ada, { copy: 1 }))).status).to.equal(200);
  });

  it("Anthropic's clients are told in Anthropic's words", async () => {
    const ada = await copies[0]!.customer({ userLimits: { requests_per_minute: 1, tokens_per_minute: 1_000, max_parallel: 5 } });
    const ask = () =>
      fetch(`${copies[1]!.url}/v1/messages`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": ada.key, "anthropic-version": "2023-06-01" },
        body: JSON.stringify({ model, max_tokens: 10, stream: true, messages: [{ role: "user", content: "hi" }] }),
      });
    const [first, second] = [await ask(), await ask()];
    await first.text();
    const told = (name: string) => second.headers.get(`anthropic-ratelimit-${name}`);
    expect([first.status, second.status, second.headers.get("x-ratelimit-limit-requests")]).to.deep.equal([200, 429, null]);
    expect([told("requests-limit"), told("requests-remaining"), told("tokens-limit")]).to.deep.equal(["1", "0", "1000"]);
    expect(Date.parse(told("requests-reset")!) - Date.now()).to.be.within(50_000, 62_000);
    expect(Number(second.headers.get("retry-after"))).to.be.within(40, 61);
    expect(((await second.json()) as { error: { type: string } }).error.type).to.equal("rate_limit_error");
  });

  it("a list of models counts as a request of caller and address, and of nothing else", async () => {
    const ada = await copies[0]!.customer({ userLimits: { requests_per_minute: 3, tokens_per_minute: 1, max_parallel: 1 } });
    const list = () => fetch(`${copies[0]!.url}/v1/models`, { headers: { authorization: `Bearer ${ada.key}` } });
    const answers = await Promise.all([list(), list(), list(), list()]);
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).to.deep.equal([200, 200, 200, 429]);
    expect(answers[0]!.headers.get("x-ratelimit-limit-tokens")).to.equal(null);
    await Promise.all(answers.map((answer) => answer.text()));
  });
});
