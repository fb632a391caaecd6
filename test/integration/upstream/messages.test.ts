import Anthropic from "@anthropic-ai/sdk";
import { expect } from "chai";
import { startUpstream } from "../../support/upstream.ts";

type Event = { type: string } & Record<string, unknown>;

describe("the demo upstream as Anthropic", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let client: Anthropic;

  before(async () => {
    upstream = await startUpstream();
    client = new Anthropic({ apiKey: "k", baseURL: upstream.url, maxRetries: 0 });
  });
  after(() => upstream?.close());

  const ask = (content: string, more: object = {}) => ({
    model: "claude-demo",
    max_tokens: 2_000,
    messages: [{ role: "user" as const, content }],
    ...more,
  });
  const raw = (body: object, headers: Record<string, string> = {}) =>
    fetch(`${upstream.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": "k", "anthropic-version": "2023-06-01", "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  const eventsOf = async (content: string, more: object = {}): Promise<{ text: string; events: Event[] }> => {
    const text = await (await raw(ask(content, { stream: true, ...more }))).text();
    const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as Event);
    return { text, events };
  };
  const refused = async (body: object, headers: Record<string, string> = {}): Promise<string> => {
    const response = await raw(body, headers);
    const { type, error } = (await response.json()) as { type: string; error: { type: string; message: string } };
    expect([response.status, type, error.type]).to.deep.equal([400, "error", "invalid_request_error"]);
    return error.message;
  };

  it("answers the official client, streaming and not, with the same text and counts", async () => {
    const whole = await client.messages.create(ask("What does a toll keeper do?"));
    const streamed = await client.messages.stream(ask("What does a toll keeper do?")).finalMessage();
    expect(whole.content[0]).to.deep.include({ type: "text" });
    expect(streamed.content).to.deep.equal(whole.content);
    expect(whole.usage.output_tokens).to.be.greaterThan(10);
    expect(streamed.usage).to.deep.include({ input_tokens: whole.usage.input_tokens, output_tokens: whole.usage.output_tokens });
    const counted = await client.messages.countTokens({ model: "claude-demo", messages: ask("What does a toll keeper do?").messages });
    expect(counted).to.deep.equal({ input_tokens: whole.usage.input_tokens });
  });

  it("thinks, speaks and calls several tools, each in a block of its own", async () => {
    const tools: Anthropic.Tool[] = ["weather", "time"].map((name) => ({
      name,
      input_schema: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
    }));
    const question = ask("Weather and time? [[tool:weather,time]] [[chunks:3]]", {
      max_tokens: 4_000,
      thinking: { type: "enabled", budget_tokens: 1_024 },
      tools,
    });
    const message = await client.messages.stream(question).finalMessage();
    expect(message.content.map((block) => block.type)).to.deep.equal(["thinking", "text", "tool_use", "tool_use"]);
    expect(message.content[0]).to.have.property("signature").that.is.not.empty;
    expect(message.content[2]).to.deep.include({ name: "weather", input: { city: "some city", days: 7 } });
    expect(message.stop_reason).to.equal("tool_use");
    expect(message.usage.output_tokens_details!.thinking_tokens).to.be.greaterThan(0);
    const whole = await client.messages.create(question);
    expect(whole.content.map((block) => block.type)).to.deep.equal(["thinking", "text", "tool_use", "tool_use"]);
    const forced = await client.messages.create(ask("Weather?", { tools, tool_choice: { type: "tool", name: "time" } }));
    expect(forced.content[0]).to.include({ type: "tool_use", name: "time" });
  });

  it("sends every event named and typed, a placeholder first and cumulative counts last", async () => {
    const { text, events } = await eventsOf("Hello [[chunks:2]] [[usage:1500,800 cached=200 cache_write=100 cache_write_1h=40]]");
    const delta = "content_block_delta";
    expect(events.map((event) => event.type)).to.deep.equal([
      "message_start",
      "ping",
      "content_block_start",
      delta,
      delta,
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    expect([...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).to.deep.equal(events.map((event) => event.type));
    expect(events[0])
      .to.have.nested.property("message.usage")
      .that.deep.includes({
        input_tokens: 1_200,
        cache_read_input_tokens: 200,
        cache_creation_input_tokens: 100,
        cache_creation: { ephemeral_5m_input_tokens: 60, ephemeral_1h_input_tokens: 40 },
        output_tokens: 1,
      });
    expect(events.at(-2)).to.have.nested.property("usage").that.deep.includes({ input_tokens: 1_200, output_tokens: 800 });
  });

  it("stops for a cap, a sequence, a refusal, or what it is told", async () => {
    const stop = async (content: string, more: object = {}) => (await client.messages.create(ask(content, more))).stop_reason;
    expect(await stop("Tell me of bridges", { max_tokens: 4 })).to.equal("max_tokens");
    expect(await stop("Tell me of bridges", { stop_sequences: ["bridges"] })).to.equal("stop_sequence");
    expect(await stop("Tell me of bridges [[refusal]]")).to.equal("refusal");
    expect(await stop("Tell me of bridges [[finish:pause_turn]]")).to.equal("pause_turn");
  });

  it("refuses what the vendor refuses, by version", async () => {
    const { max_tokens: _, ...uncapped } = ask("Hi");
    expect(await refused(uncapped)).to.equal("max_tokens: Field required");
    expect(await refused(ask("Hi", { n: 2 }))).to.contain("Extra inputs");
    expect(await refused(ask("Hi", { messages: [{ role: "system", content: "Hi" }] }))).to.contain("role");
    expect(await refused(ask("Hi", { messages: [] }))).to.contain("messages");
    expect(await refused(ask("Hi", { thinking: { type: "enabled", budget_tokens: 9_000 } }))).to.contain("budget_tokens");
    expect(await refused(ask("Hi"), { "anthropic-version": "1999-01-01" })).to.contain("anthropic-version");
    const now = { "anthropic-version": "2026-10-21" };
    for (const gone of ["temperature", "top_p", "top_k"]) {
      expect(await refused(ask("Hi", { [gone]: 1 }), now)).to.contain(gone);
      expect((await raw(ask("Hi", { [gone]: 1 }))).status).to.equal(200);
    }
    const document = { type: "document", source: { type: "text", media_type: "text/plain", data: "x" } };
    const assistant = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: [document] },
      { role: "user", content: "So?" },
    ];
    expect(await refused(ask("", { messages: assistant }), now)).to.contain("document");
    const cited = [{ role: "user", content: [{ type: "text", text: "Hi", citations: [{ type: "char_location" }] }] }];
    expect(await refused(ask("", { messages: cited }), now)).to.contain("citations");
  });

  it("takes a key either way and writes errors in its own shape, also in the stream", async () => {
    const bearer = await raw(ask("Hi"), { "x-api-key": "", authorization: "Bearer k" });
    expect([bearer.status, bearer.headers.has("request-id")]).to.deep.equal([200, true]);
    const failing = async (content: string) =>
      client.messages.create(ask(content)).catch((error: unknown) => error as InstanceType<typeof Anthropic.APIError>);
    expect(await failing("[[fault:status code=529]]")).to.include({ status: 529, type: "overloaded_error" });
    expect(await failing("[[fault:status code=402]]")).to.include({ status: 402, type: "billing_error" });
    expect(await failing("[[fault:status code=429 retry_after=2]]")).to.be.instanceOf(Anthropic.RateLimitError);
    const { text } = await eventsOf("Hello [[fault:error_in_band after=1]]");
    expect(text).to.match(/event: error\ndata: .*overloaded_error.*\n\n$/);
    const broken = await eventsOf("Hello [[fault:no_done]]");
    expect(broken.events.at(-1)!.type).to.equal("message_delta");
    expect((await eventsOf("Hello [[fault:no_usage]]")).text).to.not.contain('"usage"');
  });

  it("lists its models as Anthropic does", async () => {
    const page = await client.models.list({ limit: 2 });
    expect(page.data[0]).to.include({ type: "model", id: "demo-chat" });
    expect(page.has_more).to.equal(true);
    const all: string[] = [];
    for await (const { id } of page) all.push(id);
    expect(all).to.include("demo-rerank");
    expect(await client.models.retrieve("demo-fast")).to.include({ id: "demo-fast", type: "model" });
  });

  it("counts pictures by their size", async () => {
    const header = Buffer.concat([Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"), Buffer.from([0, 0, 2, 0, 0, 0, 1, 0x77])]);
    const count = async (content: Anthropic.ContentBlockParam[]) =>
      (await client.messages.countTokens({ model: "claude-demo", messages: [{ role: "user", content }] })).input_tokens;
    const text = { type: "text" as const, text: "What is this?" };
    const image = {
      type: "image" as const,
      source: { type: "base64" as const, media_type: "image/png" as const, data: header.toString("base64") },
    };
    expect((await count([text, image])) - (await count([text]))).to.equal(Math.ceil((512 * 375) / 750));
  });
});
