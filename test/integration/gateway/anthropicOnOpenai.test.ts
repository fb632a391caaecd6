import Anthropic from "@anthropic-ai/sdk";
import { expect } from "chai";
import { MID_STREAM, PIXEL, useDemoRelay, untilItBreaks } from "./demoRelay.ts";

const SCHEMA = { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

const wordsOf = (event: Anthropic.RawMessageStreamEvent): string =>
  event.type === "content_block_delta" && event.delta.type === "text_delta" ? event.delta.text : "";

describe("the Anthropic client with OpenAI's provider", () => {
  const demo = useDemoRelay({ apiFormat: "openai", prices: { cached_input_price: "3", cache_write_price: "37.5" } });
  const anthropic = (): Anthropic => new Anthropic({ apiKey: demo.ada.key, baseURL: demo.relay.url, maxRetries: 0 });
  const lastSent = async (): Promise<Record<string, unknown>> => (await demo.upstream.calls()).at(-1)!.body as Record<string, unknown>;
  const ask = (content: Anthropic.MessageParam["content"], more: object = {}): Anthropic.MessageCreateParamsNonStreaming => ({
    model: demo.model,
    max_tokens: 2_000,
    system: "Be brief",
    messages: [{ role: "user", content }],
    ...more,
  });
  const tools: Anthropic.Tool[] = ["weather", "time"].map((name) => ({ name, input_schema: SCHEMA }));

  it("gets a whole answer with its usage, charged by it", async () => {
    const message = await anthropic().messages.create(ask("Hello [[usage:1500,800 cached=500]]"));
    expect(message).to.deep.include({ type: "message", role: "assistant", stop_reason: "end_turn", stop_sequence: null });
    expect(message.content[0]).to.include({ type: "text" }).and.have.property("text").that.is.not.empty;
    expect(message.usage).to.include({ input_tokens: 1_000, cache_read_input_tokens: 500, output_tokens: 800 });
    expect((await demo.bill()).charged).to.equal(1_000n * 30_000n + 500n * 3_000n + 800n * 60_000n);
    const [call] = await demo.upstream.calls();
    expect(call!.path).to.equal("/v1/chat/completions");
    expect(call!.headers).to.have.property("authorization");
    for (const name of ["x-api-key", "anthropic-version"]) expect(call!.headers).to.not.have.property(name);
    expect(call!.body).to.deep.include({ model: "upstream-model", max_tokens: 2_000 });
    expect((call!.body as { messages: object[] }).messages[0]).to.deep.equal({ role: "system", content: "Be brief" });
  });

  it("gets the same words in a stream, event by event and through its helper", async () => {
    const question = "Tell me [[usage:1500,800]]";
    const whole = await anthropic().messages.create(ask(question));
    const types: string[] = [];
    for await (const event of await anthropic().messages.create({ ...ask(question), stream: true })) types.push(event.type);
    expect([...new Set(types)]).to.deep.equal([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    const helped = await anthropic().messages.stream(ask(question)).finalMessage();
    expect(helped.content).to.deep.equal(whole.content);
    expect(helped.usage).to.include({ input_tokens: 1_500, output_tokens: 800 });
    expect((await demo.bill()).charged).to.equal(3n * 93_000_000n);
  });

  it("is told what it is charged when the provider does not say what it used", async () => {
    await demo.upstream.tell("[[fault:no_usage]]");
    const told = ({ usage }: Anthropic.Message): number[] => [usage.input_tokens, usage.output_tokens];
    for (const give of [() => anthropic().messages.create(ask("Hello")), () => anthropic().messages.stream(ask("Hello")).finalMessage()]) {
      const [input, output] = told(await give());
      expect(Math.min(input!, output!)).to.be.greaterThan(0);
      expect(await demo.bill()).to.deep.include({ estimated: true, tokens: [input, output] });
    }
  });

  it("calls tools in parallel and gives the results back, with pictures in them", async () => {
    const question = ask("Weather and time? [[tool:weather,time]]", { tools });
    const message = await anthropic().messages.stream(question).finalMessage();
    const calls = message.content.filter((block) => block.type === "tool_use");
    expect(calls.map(({ name }) => name)).to.deep.equal(["weather", "time"]);
    for (const { input } of calls) expect(input).to.have.property("city");
    expect(message.stop_reason).to.equal("tool_use");
    expect((await anthropic().messages.create(question)).content.filter((block) => block.type === "tool_use")).to.have.length(2);
    const image = { type: "image" as const, source: { type: "base64" as const, media_type: "image/png" as const, data: PIXEL } };
    const shown = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
    const results = calls.map(({ id }) => ({
      type: "tool_result" as const,
      tool_use_id: id,
      content: [{ type: "text" as const, text: "sun" }, image],
    }));
    const turns = [
      ...question.messages,
      { role: "assistant" as const, content: message.content },
      { role: "user" as const, content: results },
    ];
    await anthropic().messages.create({ ...question, messages: turns });
    const { messages } = (await lastSent()) as { messages: { role: string; tool_call_id?: string; content: unknown }[] };
    expect(messages.map(({ role }) => role)).to.deep.equal(["system", "user", "assistant", "tool", "tool", "user"]);
    expect(messages.slice(3, 5).map((one) => one.tool_call_id)).to.deep.equal(calls.map(({ id }) => id));
    expect(messages[5]!.content).to.deep.equal([shown, shown]);
  });

  it("gets reasoning as thinking", async () => {
    const question = ask("Hm? [[reasoning:5]] [[usage:1500,800 reasoning=300]]", { thinking: { type: "enabled", budget_tokens: 1_500 } });
    const message = await anthropic().messages.stream(question).finalMessage();
    expect(message.content.map((block) => block.type)).to.deep.equal(["thinking", "text"]);
    expect(message.usage).to.deep.include({ output_tokens: 800, output_tokens_details: { thinking_tokens: 300 } });
    expect((await lastSent())["reasoning_effort"]).to.equal("high");
    expect((await demo.bill()).charged).to.equal(93_000_000n);
  });

  it("is refused what cannot be said there, before anything is held", async () => {
    const error = await anthropic()
      .messages.create(ask("Hello", { top_k: 5 }))
      .catch((thrown: unknown) => thrown as Error);
    expect(error)
      .to.be.instanceOf(Anthropic.BadRequestError)
      .and.have.property("message")
      .that.contains("top_k: is not offered for this model");
    expect(await demo.upstream.calls()).to.have.length(0);
    expect(await demo.relay.balance(demo.ada)).to.deep.equal({ total: "1000000000", held: "0" });
  });

  for (const [directives, status, type, record] of [
    ["[[fault:status code=400]]", 400, "invalid_request_error", "upstream_rejected"],
    ["[[fault:status code=429]]", 429, "rate_limit_error", "upstream_rate_limited"],
    ["[[fault:status code=500]]", 502, "api_error", "upstream_5xx"],
    ["[[fault:hang]]", 504, "timeout_error", "upstream_first_byte_timeout"],
  ] as const) {
    it(`throws ${status} ${type} for ${directives} at the provider, charged 0`, async () => {
      await demo.upstream.tell(directives);
      const error = await anthropic()
        .messages.create(ask("Hello"))
        .catch((thrown: unknown) => thrown as { status: number });
      expect(error).to.be.instanceOf(Anthropic.APIError).and.include({ status, type });
      expect(await demo.bill()).to.deep.include({ charged: 0n, status: "failed", code: record });
    });
  }

  for (const [directives, record] of [...MID_STREAM, ["[[fault:no_done]]", "upstream_closed"] as const]) {
    it(`throws in the middle of a stream for ${directives} at the provider, charged 0`, async () => {
      await demo.upstream.tell(directives);
      const { text, error } = await untilItBreaks(anthropic().messages.create({ ...ask("A long story"), stream: true }), wordsOf);
      expect(text).to.not.equal("");
      expect(error)
        .to.be.instanceOf(Anthropic.APIError)
        .and.have.property("type", record.includes("timeout") ? "timeout_error" : "api_error");
      expect(await demo.bill()).to.deep.include({ charged: 0n, status: "failed", code: record });
    });
  }
});
