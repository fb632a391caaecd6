import { expect } from "chai";
import OpenAI from "openai";
import { tokensOf } from "../../../dev/upstream/content/tokens.ts";
import { startUpstream } from "../../support/upstream.ts";

describe("the demo upstream's other routes for text", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let client: OpenAI;

  before(async () => {
    upstream = await startUpstream();
    client = new OpenAI({ apiKey: "k", baseURL: `${upstream.url}/v1`, maxRetries: 0 });
  });
  after(() => upstream?.close());

  const model = "demo-chat";

  it("completions: a text, texts or tokens, each answered as often as asked, streamed alike", async () => {
    const one = await client.completions.create({ model, prompt: "A bridge", max_tokens: 200, echo: true });
    expect(one.choices[0]!.text).to.match(/^A bridge/);
    expect(one.usage!.prompt_tokens).to.equal(tokensOf("A bridge"));
    const many = await client.completions.create({ model, prompt: ["A bridge", "A river"], n: 2 });
    expect(many.choices.map(({ index }) => index)).to.deep.equal([0, 1, 2, 3]);
    expect(many.choices[0]!.finish_reason).to.equal("length");
    expect((await client.completions.create({ model, prompt: [[1, 2, 3], [4]] })).usage!.prompt_tokens).to.equal(4);

    const whole = await client.completions.create({ model, prompt: "A bridge", max_tokens: 200 });
    let text = "";
    let usage: OpenAI.CompletionUsage | undefined;
    const stream = await client.completions.create({
      model,
      prompt: "A bridge",
      max_tokens: 200,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? "";
      usage = chunk.usage;
    }
    expect([text, usage]).to.deep.equal([whole.choices[0]!.text, whole.usage]);
  });

  it("chat: parallel calls with interleaved arguments, thoughts, refusals, log probabilities, JSON", async () => {
    const ask = (content: string, more: object = {}) =>
      client.chat.completions.stream({ model, messages: [{ role: "user", content }], ...more }).finalChatCompletion();
    const called = await ask("Weather? [[tool:weather,time]]");
    expect(called.choices[0]!.message.tool_calls!.map((call) => call.type === "function" && call.function)).to.deep.equal([
      { name: "weather", arguments: '{"city":"Paris","unit":"celsius"}' },
      { name: "time", arguments: '{"city":"Paris","unit":"celsius"}' },
    ]);
    expect(called.choices[0]!.finish_reason).to.equal("tool_calls");
    const indexes: number[] = [];
    for await (const chunk of await client.chat.completions.create({
      model,
      stream: true,
      messages: [{ role: "user", content: "[[tool:a,b]]" }],
    }))
      indexes.push(...(chunk.choices[0]?.delta.tool_calls?.map((call) => call.index) ?? []));
    expect(indexes.slice(0, 6)).to.deep.equal([0, 1, 0, 1, 0, 1]);

    const thought = await client.chat.completions.create({ model, messages: [{ role: "user", content: "Hi [[reasoning:9]]" }] });
    expect(thought.choices[0]!.message).to.have.property("reasoning_content").that.is.a("string");
    expect(thought.usage!.completion_tokens_details!.reasoning_tokens).to.be.greaterThan(0);
    expect((await ask("Hi [[refusal]]")).choices[0]!.message.refusal).to.contain("can't help");
    expect((await ask("Hi", { logprobs: true })).choices[0]!.logprobs!.content!.length).to.be.greaterThan(3);
    const schema = { type: "object", properties: { toll: { type: "number" }, paid: { type: "boolean" } } };
    const json = await ask("Hi", { response_format: { type: "json_schema", json_schema: { name: "toll", schema } } });
    expect(JSON.parse(json.choices[0]!.message.content!)).to.deep.equal({ toll: 7, paid: true });
  });

  it("chat: pictures cost by their size and detail, reasoning models refuse the old cap", async () => {
    const cost = async (detail: "low" | "high") => {
      const content = [{ type: "image_url" as const, image_url: { url: "https://example.com/a.png", detail } }];
      return (await client.chat.completions.create({ model, messages: [{ role: "user", content }] })).usage!.prompt_tokens;
    };
    expect((await cost("high")) - (await cost("low"))).to.equal(765 - 85);
    const old = client.chat.completions.create({ model: "o3-demo", messages: [{ role: "user", content: "Hi" }], max_tokens: 5 });
    expect(await old.catch((error: unknown) => error)).to.include({ status: 400, code: "unsupported_parameter" });
  });

  it("moderation: each text judged, nothing counted", async () => {
    const judged = await client.moderations.create({ input: ["A kind word", "I will kill the idiot"] });
    expect(judged.results.map(({ flagged }) => flagged)).to.deep.equal([false, true]);
    expect(judged.results[1]!.categories).to.include({ violence: true, harassment: true, hate: false });
    expect(judged).to.not.have.property("usage");
  });

  it("rerank: documents by relevance, counted as Jina or as Cohere does", async () => {
    const rerank = async (name: string, more: object = {}) =>
      client.post<{ results: { index: number; relevance_score: number; document?: { text: string } }[]; usage?: object; meta?: object }>(
        "/rerank",
        {
          body: {
            model: name,
            query: "the toll of a bridge",
            documents: ["a song", "the toll of a bridge", { text: "a bridge" }],
            ...more,
          },
        },
      );
    const jina = await rerank("jina-reranker-v2", { top_n: 2 });
    expect(jina.results.map(({ index }) => index)).to.deep.equal([1, 2]);
    expect(jina.results[0]!.document).to.deep.equal({ text: "the toll of a bridge" });
    expect(jina.usage).to.have.property("total_tokens").that.is.greaterThan(10);
    const cohere = await rerank("rerank-v3.5");
    expect(cohere.results[0]).to.have.all.keys("index", "relevance_score");
    expect(cohere.meta).to.have.nested.property("billed_units.search_units", 1);
  });

  it("models: in the shape of the caller's vendor, by id too", async () => {
    expect((await client.models.list()).data[0]).to.deep.include({ id: "demo-chat", object: "model" });
    expect(await client.models.retrieve("demo-rerank")).to.include({ id: "demo-rerank" });
    expect(await client.models.retrieve("a/b").catch((error: unknown) => error)).to.include({ status: 404, code: "model_not_found" });
  });
});
