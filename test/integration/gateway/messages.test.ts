import Anthropic from "@anthropic-ai/sdk";
import { expect } from "chai";
import { waitFor } from "../../support/stack.ts";
import { MID_STREAM, PIXEL, useDemoRelay, untilItBreaks } from "./demoRelay.ts";

/** Prices per 1000 tokens: input 30, cached 3, cache write 37.5, for an hour 60, output 60. */
const PRICES = { cached_input_price: "3", cache_write_price: "37.5", cache_write_1h_price: "60" };

const wordsOf = (event: Anthropic.RawMessageStreamEvent): string =>
  event.type === "content_block_delta" && event.delta.type === "text_delta" ? event.delta.text : "";

describe("Anthropic's official client", () => {
  const demo = useDemoRelay({ apiFormat: "claude", prices: PRICES });
  const client = (options: object = {}): Anthropic =>
    new Anthropic({ apiKey: demo.ada.key, baseURL: demo.relay.url, maxRetries: 0, ...options });
  const ask = (content: Anthropic.MessageParam["content"], more: object = {}): Anthropic.MessageCreateParamsNonStreaming => ({
    model: demo.model,
    max_tokens: 2_000,
    messages: [{ role: "user", content }],
    ...more,
  });

  it("gets a whole answer, charged by the provider's usage", async () => {
    const { data, response, request_id } = await client()
      .messages.create(ask("What is a toll? [[usage:1500,800]]"), { headers: { "x-request-id": "mine-1" } })
      .withResponse();
    expect(data).to.deep.include({ type: "message", role: "assistant", stop_reason: "end_turn" });
    expect(data.usage).to.include({ input_tokens: 1_500, output_tokens: 800 });
    expect(request_id).to.equal("mine-1");
    expect(response.headers.get("x-request-id")).to.equal("mine-1");
    expect(response.headers.get("set-cookie")).to.equal(null);
    expect(await demo.bill()).to.deep.include({ charged: 93_000_000n, status: "ok", estimated: false });
    const [call] = await demo.upstream.calls();
    expect(call!.headers).to.include({ "anthropic-version": "2026-10-21" }).and.to.have.property("x-api-key");
    expect(call!.headers).to.not.have.property("authorization");
    expect(call!.body).to.deep.include({ model: "upstream-model", max_tokens: 2_000 });
    expect(JSON.stringify(call)).to.not.contain(demo.ada.key);
  });

  it("may bring its key under either name", async () => {
    const ways: Record<string, string>[] = [{ "x-api-key": demo.ada.key }, { authorization: `Bearer ${demo.ada.key}` }];
    for (const headers of ways) {
      const response = await fetch(`${demo.relay.url}/v1/messages`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(ask("Hello")),
      });
      expect(response.status).to.equal(200);
    }
    const calls = await demo.upstream.calls();
    expect(calls.map((call) => call.headers["anthropic-version"])).to.deep.equal(["2023-06-01", "2023-06-01"]);
  });

  it("gets a stream, event by event and through its helper, with the same text", async () => {
    const events: Anthropic.RawMessageStreamEvent[] = [];
    for await (const event of await client().messages.create({ ...ask("Tell me [[usage:1500,800]]"), stream: true })) events.push(event);
    expect(events[0]!.type).to.equal("message_start");
    expect(events.at(-1)!.type).to.equal("message_stop");
    expect(await demo.bill()).to.deep.include({ charged: 93_000_000n, status: "ok" });
    const text = events
      .map((event) => (event.type === "content_block_delta" && event.delta.type === "text_delta" ? event.delta.text : ""))
      .join("");
    const message = await client().messages.stream(ask("Tell me [[usage:1500,800]]")).finalMessage();
    expect(message.content).to.deep.equal([{ type: "text", text, citations: null }]);
    expect(message.usage).to.include({ input_tokens: 1_500, output_tokens: 800 });
  });

  it("pays for what came from a cache and went into one at their own prices", async () => {
    await client().messages.create(ask("Again [[usage:1500,800 cached=500 cache_write=400 cache_write_1h=100]]"));
    // 600 x 30 + 500 x 3 + 300 x 37.5 + 100 x 60 + 800 x 60, by thousands.
    expect((await demo.bill()).charged).to.equal(18_000_000n + 1_500_000n + 11_250_000n + 6_000_000n + 48_000_000n);
    await client().messages.stream(ask("Again [[usage:1500,800 cached=500 cache_write=400 cache_write_1h=100]]")).finalMessage();
    expect((await demo.bill()).charged).to.equal(2n * 84_750_000n);
  });

  it("calls tools in parallel, thinks, and sends their results and images back", async () => {
    const tools: Anthropic.Tool[] = ["weather", "time"].map((name) => ({
      name,
      input_schema: { type: "object", properties: { city: { type: "string" } } },
    }));
    const question = ask("Weather and time? [[tool:weather,time]]", { tools, thinking: { type: "enabled", budget_tokens: 1_024 } });
    const message = await client().messages.stream(question).finalMessage();
    const calls = message.content.filter((block) => block.type === "tool_use");
    expect(calls.map((call) => call.name)).to.deep.equal(["weather", "time"]);
    expect(message.content[0]).to.have.property("signature").that.is.not.empty;
    expect(message.stop_reason).to.equal("tool_use");
    const image = { type: "image" as const, source: { type: "base64" as const, media_type: "image/png" as const, data: PIXEL } };
    const results = calls.map((call) => ({ type: "tool_result" as const, tool_use_id: call.id, content: [image] }));
    const turn = [
      ...question.messages,
      { role: "assistant" as const, content: message.content },
      { role: "user" as const, content: results },
    ];
    const answer = await client().messages.create({ ...question, messages: turn });
    expect(answer.type).to.equal("message");
    const [, second] = await demo.upstream.calls();
    expect((second!.body as { messages: unknown }).messages).to.deep.equal(JSON.parse(JSON.stringify(turn)));
  });

  for (const reason of ["refusal", "pause_turn", "max_tokens", "stop_sequence"]) {
    it(`is charged for an answer that stopped by ${reason}`, async () => {
      const message = await client()
        .messages.stream(ask(`Hm [[usage:1500,800]] [[finish:${reason}]]`))
        .finalMessage();
      expect(message.stop_reason).to.equal(reason);
      expect((await demo.bill()).charged).to.equal(93_000_000n);
    });
  }

  it("throws the error of its kind for every refusal of ours", async () => {
    const caught = async (options: object, params: object = {}): Promise<unknown> =>
      client(options)
        .messages.create({ ...ask("Hello"), ...params })
        .catch((error: unknown) => error);
    const poor = await demo.relay.customer({ credits: "0" });
    const limited = await demo.relay.customer({ keyLimits: { requests_per_minute: 1 } });
    const narrow = await demo.relay.customer({ models: ["another"] });
    const broke = (await caught({ apiKey: poor.key })) as InstanceType<typeof Anthropic.PaymentRequiredError>;
    expect(broke)
      .to.be.instanceOf(Anthropic.PaymentRequiredError)
      .and.include({ status: 402, type: "billing_error", errorCode: "insufficient_balance" });
    expect(broke.requestID).to.be.a("string").that.is.not.empty;
    expect(await caught({ apiKey: "sk-tk-wrong" }))
      .to.be.instanceOf(Anthropic.AuthenticationError)
      .and.include({ type: "authentication_error" });
    expect(await caught({ apiKey: narrow.key }))
      .to.be.instanceOf(Anthropic.PermissionDeniedError)
      .and.include({ type: "permission_error" });
    expect(await caught({}, { model: "no-such" }))
      .to.be.instanceOf(Anthropic.NotFoundError)
      .and.include({ type: "not_found_error" });
    const wrong = (await caught({}, { max_tokens: "many" })) as Error;
    expect(wrong).to.be.instanceOf(Anthropic.BadRequestError).and.include({ type: "invalid_request_error" });
    expect(wrong.message).to.contain("max_tokens: must be a whole number");
    await caught({ apiKey: limited.key });
    expect(await caught({ apiKey: limited.key }))
      .to.be.instanceOf(Anthropic.RateLimitError)
      .and.include({ type: "rate_limit_error" });
  });

  it("is told of routes that are not offered in its own words", async () => {
    const batches = await client()
      .messages.batches.list()
      .catch((error: unknown) => error);
    expect(batches).to.be.instanceOf(Anthropic.NotFoundError).and.include({ type: "not_found_error" });
    const method = await fetch(`${demo.relay.url}/v1/messages`, { headers: { "anthropic-version": "2023-06-01" } });
    expect(method.status).to.equal(405);
    expect(await method.json()).to.deep.include({ type: "error" });
  });

  it("retries by itself what is worth it, each time a call of its own", async () => {
    await demo.upstream.tell("[[fault:status code=529]]", { times: 1 });
    const message = await client({ maxRetries: 2 }).messages.create(ask("Hello [[usage:1500,800]]"));
    expect(message.type).to.equal("message");
    expect(await demo.upstream.calls()).to.have.length(2);
    expect((await demo.bill()).charged).to.equal(93_000_000n);
  });

  for (const [directives, kind, record] of [
    ["[[fault:status code=529]]", Anthropic.OverloadedError, "upstream_5xx"],
    ["[[fault:status code=500]]", Anthropic.InternalServerError, "upstream_5xx"],
    ["[[fault:status code=429]]", Anthropic.RateLimitError, "upstream_rate_limited"],
    ["[[fault:status code=400]]", Anthropic.BadRequestError, "upstream_rejected"],
    ["[[fault:status code=401]]", Anthropic.InternalServerError, "upstream_refused"],
    ["[[fault:hang]]", Anthropic.GatewayTimeoutError, "upstream_first_byte_timeout"],
    ["[[fault:bad_json]]", Anthropic.InternalServerError, "upstream_malformed"],
  ] as const) {
    it(`throws ${kind.name} for ${directives} at the provider, charged 0`, async () => {
      await demo.upstream.tell(directives);
      const error = await client()
        .messages.create(ask("Hello"))
        .catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(kind);
      expect(await demo.bill()).to.deep.include({ charged: 0n, status: "failed", code: record });
    });
  }

  for (const [directives, record] of MID_STREAM) {
    it(`throws in the middle of a stream for ${directives} at the provider, charged 0`, async () => {
      await demo.upstream.tell(directives);
      const { text, error } = await untilItBreaks(client().messages.create({ ...ask("Tell me a long story"), stream: true }), wordsOf);
      expect(text).to.not.equal("");
      expect(error)
        .to.be.instanceOf(Anthropic.APIError)
        .and.have.property(
          "type",
          record === "upstream_error_event" ? "overloaded_error" : record.includes("timeout") ? "timeout_error" : "api_error",
        );
      expect(await demo.bill()).to.deep.include({ charged: 0n, status: "failed", code: record });
    });
  }

  it("is kept waiting with pings, which it does not show", async () => {
    await demo.upstream.tell("[[delay:700ms]]");
    const response = await fetch(`${demo.relay.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": demo.ada.key, "content-type": "application/json" },
      body: JSON.stringify({ ...ask("Hello"), stream: true }),
    });
    const text = await response.text();
    expect(text).to.match(/^(event: ping\ndata: \{"type": "ping"\}\n\n)+event: message_start\n/);
    expect(text.endsWith('event: message_stop\ndata: {"type":"message_stop"}\n\n')).to.equal(true);
    const message = await client().messages.stream(ask("Hello")).finalMessage();
    expect(message.stop_reason).to.equal("end_turn");
  });

  it("pays the prompt as the provider counted it and what it was given, when it leaves in the middle", async () => {
    await demo.upstream.tell("[[usage:1000,800 cached=400]] [[fault:silent after=3]]");
    const stream = client().messages.stream(ask("Tell me a long story"));
    let text = "";
    stream.on("text", (piece) => {
      text += piece;
      if (text.split(" ").length > 3) stream.abort();
    });
    await stream.finalMessage().catch(() => undefined);
    const { charged, status, estimated } = await demo.bill();
    expect({ status, estimated }).to.deep.equal({ status: "client_gone", estimated: true });
    // 600 x 30 + 400 x 3, and three words of about a token each.
    const output = charged - 18_000_000n - 1_200_000n;
    expect(Number(output) / 60_000).to.be.within(3, 6);
    await waitFor(async () => (await demo.upstream.calls())[0]?.aborted, {
      timeoutMs: 3_000,
      message: "the provider's socket to be closed",
    });
  });

  it("pays nothing when it leaves before any content", async () => {
    await demo.upstream.tell("[[fault:hang_after_headers]]");
    const stream = client().messages.stream(ask("Hello"));
    stream.on("error", () => undefined);
    await waitFor(async () => (await demo.upstream.calls()).length === 1, { timeoutMs: 3_000, message: "the provider's call" });
    stream.abort();
    await stream.done().catch(() => undefined);
    expect(await demo.bill()).to.deep.include({ charged: 0n, status: "client_gone" });
  });

  it("ends by its own time-out, and pays nothing", async () => {
    await demo.upstream.tell("[[fault:hang]]");
    const error = await client({ timeout: 300 })
      .messages.create(ask("Hello"))
      .catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(Anthropic.APIConnectionTimeoutError);
    expect(await demo.bill()).to.deep.include({ charged: 0n, status: "client_gone" });
  });

  it("gets no more output than the model's cap", async () => {
    const short = await demo.relay.model([demo.upstream.url], { apiFormat: "claude", maxOutput: 20 });
    const message = await client().messages.create(ask("Tell me a long story", { model: short }));
    expect(message.stop_reason).to.equal("max_tokens");
    expect((await demo.upstream.calls())[0]!.body).to.deep.include({ max_tokens: 20 });
  });
});
