import { expect } from "chai";
import OpenAI from "openai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { closed, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

interface Told {
  error: { message: string; type: string; param: string | null; code: string | null };
  trace_id: string;
}

describe("who may call what", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;
  let ada: Customer;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places, { RELAY_BODY_LIMIT_MB: "1" });
    model = await relay.model([upstream.url]);
    ada = await relay.customer();
  });
  beforeEach(() => upstream.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE)));
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  const body = (more: object = {}): string =>
    JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], stream: true, max_tokens: 100, ...more });

  async function post(
    key: string | undefined,
    payload: string,
    headers: Record<string, string> = {},
    route = "/v1/chat/completions",
  ): Promise<{ response: Response; told: Told }> {
    const response = await fetch(relay.url + route, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
      body: payload,
    });
    const answer = await response.text();
    return { response, told: (answer.startsWith("{") ? JSON.parse(answer) : {}) as Told };
  }

  async function refused(
    key: string | undefined,
    payload: string,
    status: number,
    code: string,
    headers: Record<string, string> = {},
  ): Promise<{ response: Response; told: Told }> {
    const seen = await post(key, payload, headers);
    expect(seen.response.status, seen.told.error?.message).to.equal(status);
    expect(seen.told.error).to.have.all.keys("message", "type", "param", "code");
    expect(seen.told.error.code).to.equal(code);
    expect(seen.told.trace_id).to.equal(seen.response.headers.get("x-request-id"));
    expect(upstream.requests).to.have.length(0);
    return seen;
  }

  it("nobody without a good key", async () => {
    await refused(undefined, body(), 401, "invalid_api_key");
    await refused("sk-tk-nonsense", body(), 401, "invalid_api_key");
    await refused((await relay.customer({ verified: false })).key, body(), 403, "email_not_verified");
    await refused((await relay.customer({ status: "suspended" })).key, body(), 403, "account_suspended");
    await refused((await relay.customer({ status: "closed" })).key, body(), 403, "account_suspended");
    await refused((await relay.customer({ allowedIps: ["10.0.0.0/8"] })).key, body(), 403, "forbidden");
    await refused((await relay.customer({ models: ["other"] })).key, body(), 403, "model_not_allowed");
  });

  it("a key in x-api-key, from an allowed address, for an allowed model in any case", async () => {
    const grace = await relay.customer({ allowedIps: ["127.0.0.0/8"], models: [model.toUpperCase()] });
    const { response } = await post(undefined, body(), { "x-api-key": grace.key });
    expect(response.status).to.equal(200);
  });

  it("only models that exist and have a price, and says so once to official clients", async () => {
    await refused(ada.key, body({ model: "no-such-model" }), 404, "model_not_found");
    const unpriced = await relay.model([upstream.url], { priced: false });
    const { response } = await refused(ada.key, body({ model: unpriced }), 503, "model_not_priced");
    expect(response.headers.get("x-should-retry")).to.equal("false");
    let calls = 0;
    const openai = new OpenAI({ apiKey: ada.key, baseURL: `${relay.url}/v1`, fetch: (...args) => ((calls += 1), fetch(...args)) });
    await openai.chat.completions.create({ model: unpriced, messages: [{ role: "user", content: "x" }] }).catch(() => undefined);
    expect(calls).to.equal(1);
    await refused(ada.key, body({ model: await relay.model([]) }), 503, "no_provider");
    const off = await relay.model([upstream.url], { status: "inactive" });
    await refused(ada.key, body({ model: off }), 404, "model_not_found");
  });

  for (const [route, asked] of [
    ["/v1/embeddings", { input: "hi" }],
    ["/v1/responses", { input: "hi" }],
    ["/v1/completions", { prompt: "hi" }],
  ] as const) {
    it(`${route} is refused for good with a model whose providers have nothing like it`, async () => {
      const claude = await relay.model([upstream.url], { apiFormat: "claude" });
      const { response, told } = await post(ada.key, JSON.stringify({ model: claude, ...asked }), {}, route);
      expect([response.status, told.error.param, response.headers.get("retry-after")]).to.deep.equal([400, "model", null]);
      expect(told.error.message).to.contain("is not offered at this route");
      expect(upstream.requests).to.have.length(0);
    });
  }

  it("not with a broken, oversized or foreign body", async () => {
    const { told } = await refused(ada.key, "{not json", 400, "validation_failed");
    expect(told.error.param).to.equal("body");
    await refused(ada.key, body({ messages: [{ role: "user", content: "x".repeat(1_100_000) }] }), 413, "payload_too_large");
    await refused(ada.key, body(), 415, "unsupported_media_type", { "content-type": "text/plain" });
    await refused(ada.key, `${"[".repeat(200_000)}${"]".repeat(200_000)}`, 400, "validation_failed");
    const nested = `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`;
    await refused(ada.key, body({ tools: ["HERE"] }).replace('"HERE"', nested), 400, "validation_failed");
  });

  it("nothing under /v1 that is not metered", async () => {
    for (const [method, path, status, code] of [
      ["POST", "/v1/batches", 404, "not_found"],
      ["POST", "/v1/chat/completions/", 404, "not_found"],
      ["GET", "/v1/chat/completions", 405, "method_not_allowed"],
      ["DELETE", "/v1/models", 405, "method_not_allowed"],
      ["GET", "/v1/__proto__", 404, "not_found"],
    ] as const) {
      const response = await fetch(relay.url + path, { method, headers: { authorization: `Bearer ${ada.key}` } });
      expect(response.status, path).to.equal(status);
      expect(((await response.json()) as Told).error.code).to.equal(code);
    }
  });

  it("lists the models a key may call", async () => {
    const openai = new OpenAI({ apiKey: ada.key, baseURL: `${relay.url}/v1` });
    const all = (await openai.models.list()).data;
    expect(all.find(({ id }) => id === model)).to.deep.include({ object: "model", owned_by: "tollkeeper" });
    const grace = await relay.customer({ models: [model] });
    const few = (await new OpenAI({ apiKey: grace.key, baseURL: `${relay.url}/v1` }).models.list()).data;
    expect(few.map(({ id }) => id)).to.deep.equal([model]);
  });

  it("an empty wallet is 402, a wallet whose credit is held is 429 with retry-after", async () => {
    await refused((await relay.customer({ credits: "0" })).key, body(), 402, "insufficient_balance");
    // 100 output tokens at 60 per 1000 are 6 credits and a little input.
    const grace = await relay.customer({ credits: "7" });
    upstream.behave((socket) => closed(socket));
    const controller = new AbortController();
    const running = fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      signal: controller.signal,
      headers: { "content-type": "application/json", authorization: `Bearer ${grace.key}` },
      body: body(),
    }).catch(() => undefined);
    await waitFor(() => upstream.requests.length === 1, { timeoutMs: 3_000, message: "the first call" });
    const { response, told } = await post(grace.key, body());
    expect([response.status, told.error.code]).to.deep.equal([429, "balance_on_hold"]);
    expect(response.headers.get("retry-after")).to.equal("1");
    controller.abort();
    await running;
    await waitFor(async () => (await relay.balance(grace)).held === "0", { timeoutMs: 3_000, message: "the hold to be released" });
  });

  it("a call that could cost more than any wallet holds is 402", async () => {
    const dear = await relay.model([upstream.url], { maxOutput: 2_000_000_000, output: "100000" });
    await refused(ada.key, body({ model: dear, max_tokens: undefined, n: 128 }), 402, "insufficient_balance");
  });

  it("without a cap, the provider's is lowered to what the wallet covers, unless that is next to nothing", async () => {
    const grace = await relay.customer({ credits: "7" });
    const { response } = await post(grace.key, body({ max_tokens: undefined, n: 2 }));
    expect(response.status).to.equal(200);
    const sent = upstream.requests[0]!.body["max_tokens"] as number;
    // 7 credits less 0.3 for the prompt are 111 tokens, for two answers.
    expect(sent).to.be.within(50, 56);
    await relay.settle();
    upstream.behave(streamOf());
    await refused((await relay.customer({ credits: "0.9" })).key, body({ max_tokens: undefined }), 402, "insufficient_balance");
  });

  it("the caller's cap is never more than the model's, and an unnamed one is said", async () => {
    await post(ada.key, body({ max_tokens: 5_000 }));
    expect(upstream.requests[0]!.body["max_tokens"]).to.equal(1_000);
    await post(ada.key, body({ max_tokens: null }));
    expect(upstream.requests[1]!.body["max_tokens"]).to.equal(1_000);
    const open = await relay.model([upstream.url], { maxOutput: null });
    await post(ada.key, body({ model: open, max_tokens: undefined }));
    expect(upstream.requests[2]!.body["max_tokens"]).to.equal(4_096);
  });
});
