import { expect } from "chai";
import OpenAI from "openai";
import { waitFor } from "../../support/stack.ts";
import { MID_STREAM, PIXEL, untilItBreaks, useDemoRelay } from "./demoRelay.ts";

const SCHEMA = { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

describe("the openai client with Anthropic's provider", () => {
  const demo = useDemoRelay({ apiFormat: "claude", prices: { cached_input_price: "3", cache_write_price: "37.5" } });
  const openai = (): OpenAI => new OpenAI({ apiKey: demo.ada.key, baseURL: `${demo.relay.url}/v1`, maxRetries: 0 });
  const lastSent = async (): Promise<Record<string, unknown>> => (await demo.upstream.calls()).at(-1)!.body as Record<string, unknown>;
  const ask = (
    content: OpenAI.ChatCompletionUserMessageParam["content"],
    more: object = {},
  ): OpenAI.ChatCompletionCreateParamsNonStreaming => ({
    model: demo.model,
    max_completion_tokens: 2_000,
    messages: [
      { role: "developer", content: "Be brief" },
      { role: "user", content },
    ],
    ...more,
  });
  const tools: OpenAI.ChatCompletionTool[] = ["weather", "time"].map((name) => ({
    type: "function",
    function: { name, parameters: SCHEMA },
  }));

  it("gets a whole answer with its usage, charged by it", async () => {
    const { data, request_id } = await openai()
      .chat.completions.create(ask("Hello [[usage:1500,800 cached=500 cache_write=400]]"))
      .withResponse();
    expect(data).to.include({ object: "chat.completion", model: "upstream-model" });
    expect(data.choices[0]).to.deep.include({ index: 0, finish_reason: "stop" });
    expect(data.choices[0]!.message.content).to.be.a("string").that.is.not.empty;
    expect(data.usage).to.deep.include({
      prompt_tokens: 1_500,
      completion_tokens: 800,
      total_tokens: 2_300,
      prompt_tokens_details: { cached_tokens: 500, cache_write_tokens: 400 },
    });
    expect(request_id).to.be.a("string");
    expect(await demo.bill()).to.deep.include({
      charged: 600n * 30_000n + 500n * 3_000n + 400n * 37_500n + 800n * 60_000n,
      estimated: false,
    });
    const [call] = await demo.upstream.calls();
    expect(call!.path).to.equal("/v1/messages");
    expect(call!.headers).to.include({ "anthropic-version": "2023-06-01" }).and.to.not.have.property("authorization");
    expect(call!.body).to.deep.include({ model: "upstream-model", max_tokens: 2_000, system: [{ type: "text", text: "Be brief" }] });
  });

  it("gets the same words in a stream, and the usage chunk only when it asks", async () => {
    const question = "Tell me [[usage:1500,800]]";
    const whole = await openai().chat.completions.create(ask(question));
    for (const include_usage of [true, false]) {
      const chunks: OpenAI.ChatCompletionChunk[] = [];
      const stream = await openai().chat.completions.create({ ...ask(question), stream: true, stream_options: { include_usage } });
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")).to.equal(whole.choices[0]!.message.content);
      expect(chunks.findLast((chunk) => chunk.choices.length > 0)!.choices[0]!.finish_reason).to.equal("stop");
      expect(chunks.some((chunk) => chunk.usage)).to.equal(include_usage);
    }
    expect((await demo.bill()).charged).to.equal(3n * 93_000_000n);
  });

  it("is told what it is charged when the provider does not say what it used", async () => {
    await demo.upstream.tell("[[fault:no_usage]]");
    const streamed = { ...ask("Hello"), stream: true as const, stream_options: { include_usage: true } };
    for (const give of [
      async () => (await openai().chat.completions.create(ask("Hello"))).usage,
      async () => (await openai().chat.completions.stream(streamed).finalChatCompletion()).usage,
    ]) {
      const usage = (await give())!;
      expect(Math.min(usage.prompt_tokens, usage.completion_tokens)).to.be.greaterThan(0);
      expect(usage.total_tokens).to.equal(usage.prompt_tokens + usage.completion_tokens);
      expect(await demo.bill()).to.deep.include({ estimated: true, tokens: [usage.prompt_tokens, usage.completion_tokens] });
    }
  });

  it("calls tools in parallel through its own helper, and gives the results back", async () => {
    const question = ask("Weather and time? [[tool:weather,time]]", { tools });
    const stream = openai().chat.completions.stream({ ...question, stream: true });
    const { choices } = await stream.finalChatCompletion();
    const calls = choices[0]!.message.tool_calls!;
    expect(calls.map((call) => call.type === "function" && call.function.name)).to.deep.equal(["weather", "time"]);
    for (const call of calls) if (call.type === "function") expect(JSON.parse(call.function.arguments)).to.have.property("city");
    expect(choices[0]!.finish_reason).to.equal("tool_calls");
    const whole = await openai().chat.completions.create(question);
    expect(whole.choices[0]!.message.tool_calls).to.have.length(2);
    const results = calls.map((call) => ({ role: "tool" as const, tool_call_id: call.id, content: "sun" }));
    await openai().chat.completions.create({ ...question, messages: [...question.messages, choices[0]!.message, ...results] });
    const sent = (await lastSent()) as { messages: { role: string; content: { type: string; tool_use_id?: string }[] }[] };
    expect(sent.messages.map(({ role }) => role)).to.deep.equal(["user", "assistant", "user"]);
    expect(sent.messages[2]!.content.map((block) => block.tool_use_id)).to.deep.equal(calls.map((call) => call.id));
  });

  it("gets thinking beside the text, and gives it back signed", async () => {
    const question = ask("Hm? [[tool:weather]]", { reasoning_effort: "medium", tools: [tools[0]!] });
    const message = (await openai().chat.completions.create(question)).choices[0]!.message as OpenAI.ChatCompletionMessage & {
      reasoning_content: string;
      thinking_blocks: { signature: string }[];
    };
    expect(message.reasoning_content).to.be.a("string").that.is.not.empty;
    expect(message.thinking_blocks[0]!.signature).to.be.a("string").that.is.not.empty;
    expect((await lastSent())["thinking"]).to.deep.equal({ type: "enabled", budget_tokens: 1_024 });
    const result = { role: "tool" as const, tool_call_id: message.tool_calls![0]!.id, content: "sun" };
    await openai().chat.completions.create({ ...question, messages: [...question.messages, message, result] });
    const sent = (await lastSent()) as { messages: { content: object[] }[]; thinking: unknown };
    expect(sent.messages[1]!.content[0]).to.deep.equal({
      type: "thinking",
      thinking: message.reasoning_content,
      signature: message.thinking_blocks[0]!.signature,
    });
    expect(sent.thinking).to.be.an("object");
  });

  it("shows pictures, and is held for them by rule", async () => {
    await openai().chat.completions.create(
      ask([
        { type: "text", text: "What is it? [[usage:1500,800]]" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } },
      ]),
    );
    expect(((await lastSent())["messages"] as { content: object[] }[])[0]!.content[1]).to.deep.equal({
      type: "image",
      source: { type: "base64", media_type: "image/png", data: PIXEL },
    });
    expect((await demo.bill()).charged).to.equal(93_000_000n);
  });

  it("is refused what cannot be said there, before anything is held", async () => {
    const error = await openai()
      .chat.completions.create(ask("Hello", { logprobs: true }))
      .catch((thrown: unknown) => thrown as { status: number; param: string; message: string });
    expect(error).to.be.instanceOf(OpenAI.BadRequestError).and.include({ param: "logprobs", code: "validation_failed" });
    expect(await demo.upstream.calls()).to.have.length(0);
    expect(await demo.relay.balance(demo.ada)).to.deep.equal({ total: "1000000000", held: "0" });
  });

  it("is given a provider of its own format for that, when there is one", async () => {
    const both = await demo.relay.model([demo.upstream.url, demo.upstream.url], { apiFormat: "claude" });
    await demo.relay.pool.query(
      "UPDATE providers SET api_format = 'openai' WHERE id = (SELECT provider_id FROM provider_models WHERE model_name = $1 LIMIT 1)",
      [both],
    );
    await demo.relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'provider:*')");
    await waitFor(
      async () => {
        await openai()
          .chat.completions.create({ ...ask("Hello"), model: both, seed: 5, logit_bias: { "1": 1 } })
          .catch(() => undefined);
        return (await demo.upstream.calls()).at(-1)?.path === "/v1/chat/completions";
      },
      { timeoutMs: 5_000, message: "the call to the other provider" },
    );
  });

  for (const [directives, status, record] of [
    ["[[fault:status code=400]]", 400, "upstream_rejected"],
    ["[[fault:status code=429]]", 429, "upstream_rate_limited"],
    ["[[fault:status code=500]]", 502, "upstream_5xx"],
    ["[[fault:status code=529]]", 503, "upstream_5xx"],
    ["[[fault:hang]]", 504, "upstream_first_byte_timeout"],
  ] as const) {
    it(`throws ${status} for ${directives} at the provider, charged 0`, async () => {
      await demo.upstream.tell(directives);
      const error = await openai()
        .chat.completions.create(ask("Hello"))
        .catch((thrown: unknown) => thrown as { status: number });
      expect(error).to.be.instanceOf(OpenAI.APIError).and.include({ status });
      expect(await demo.bill()).to.deep.include({ charged: 0n, status: "failed", code: record });
    });
  }

  for (const [directives, record] of [...MID_STREAM, ["[[fault:no_done]]", "upstream_closed"] as const]) {
    it(`throws in the middle of a stream for ${directives} at the provider, charged 0`, async () => {
      await demo.upstream.tell(directives);
      const { text, error } = await untilItBreaks(
        openai().chat.completions.create({ ...ask("A long story"), stream: true }),
        (chunk) => chunk.choices[0]?.delta.content,
      );
      expect(text).to.not.equal("");
      expect(error)
        .to.be.instanceOf(OpenAI.APIError)
        .and.have.property("code", record.includes("timeout") ? "upstream_timeout" : "upstream_error");
      expect(await demo.bill()).to.deep.include({ charged: 0n, status: "failed", code: record });
    });
  }

  it("pays for what it was given when it leaves in the middle", async () => {
    await demo.upstream.tell("[[usage:1000,800 cached=400]] [[fault:silent after=3]]");
    const stream = await openai().chat.completions.create({ ...ask("A long story"), stream: true });
    let pieces = 0;
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content && ++pieces === 3) break;
    const { charged, status } = await demo.bill();
    expect(status).to.equal("client_gone");
    expect(Number(charged - 600n * 30_000n - 400n * 3_000n) / 60_000).to.be.within(3, 6);
    await waitFor(async () => (await demo.upstream.calls())[0]?.aborted, {
      timeoutMs: 3_000,
      message: "the provider's socket to be closed",
    });
  });
});
