import { expect } from "chai";
import OpenAI from "openai";
import { startUpstream } from "../../support/upstream.ts";

describe("the demo upstream's responses", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let client: OpenAI;

  before(async () => {
    upstream = await startUpstream();
    client = new OpenAI({ apiKey: "k", baseURL: `${upstream.url}/v1`, maxRetries: 0 });
  });
  after(() => upstream?.close());

  const model = "gpt-5-demo";
  const events = async (input: string, more: object = {}) => {
    const stream = await client.responses.create({ model, input, stream: true, ...more });
    const all: OpenAI.Responses.ResponseStreamEvent[] = [];
    for await (const event of stream) all.push(event);
    return all;
  };
  const tools: OpenAI.Responses.FunctionTool[] = ["weather", "time"].map((name) => ({
    type: "function",
    name,
    strict: false,
    parameters: { type: "object", properties: { city: { type: "string" } } },
  }));

  it("answer the official client, streaming and not, with the same text and counts", async () => {
    const whole = await client.responses.create({ model, input: "What does a toll keeper do?" });
    expect(whole.output_text).to.match(/toll|keeper/i);
    expect(whole.usage!.total_tokens).to.equal(whole.usage!.input_tokens + whole.usage!.output_tokens);
    const streamed = await client.responses.stream({ model, input: "What does a toll keeper do?" }).finalResponse();
    expect([streamed.output_text, streamed.usage]).to.deep.equal([whole.output_text, whole.usage]);
  });

  it("number every event from 0 and end with the completed response", async () => {
    const all = await events("Hello [[chunks:2]] [[usage:1500,800 cached=100 cache_write=20 reasoning=30]]");
    expect(all.map((event) => ("sequence_number" in event ? event.sequence_number : -1))).to.deep.equal(all.map((_, i) => i));
    expect(all.map((event) => event.type)).to.deep.equal([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(all.at(-1))
      .to.have.nested.property("response.usage")
      .that.deep.equals({
        input_tokens: 1500,
        input_tokens_details: { cached_tokens: 100, cache_write_tokens: 20 },
        output_tokens: 800,
        output_tokens_details: { reasoning_tokens: 30 },
        total_tokens: 2300,
      });
  });

  it("reason, call several tools, refuse", async () => {
    const final = await client.responses
      .stream({ model, input: "Weather? [[tool:weather,time]]", tools, reasoning: { summary: "auto" } })
      .finalResponse();
    expect(final.output.map((item) => item.type)).to.deep.equal(["reasoning", "function_call", "function_call"]);
    expect(final.output[1]).to.include({ name: "weather", arguments: '{"city":"some city"}', status: "completed" });
    const refused = await client.responses.stream({ model, input: "Hello [[refusal]]" }).finalResponse();
    expect(refused.output[0]).to.have.nested.property("content[0].type", "refusal");
    const forced = await client.responses.create({ model, input: "Weather?", tools, tool_choice: { type: "function", name: "time" } });
    expect(forced.output[0]).to.include({ type: "function_call", name: "time" });
  });

  it("end incomplete at the cap, failed or with an error when told", async () => {
    const short = await events("Tell me of bridges", { max_output_tokens: 5 });
    expect(short.at(-1)).to.have.nested.property("response.incomplete_details.reason", "max_output_tokens");
    expect(short.at(-1)).to.have.nested.property("response.usage.output_tokens").that.is.at.most(5);
    expect((await events("Hello [[fault:failed]]")).at(-1)).to.deep.include({ type: "response.failed" });
    const whole = await client.responses.create({ model, input: "Hello [[fault:failed]]" });
    expect([whole.status, whole.error?.code]).to.deep.equal(["failed", "server_error"]);
    const error = await events("Hello [[fault:error_in_band]]").catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(OpenAI.APIError).with.property("message").that.contains("overloaded");
    expect((await events("Hello [[fault:no_done]]")).at(-1)!.type).to.equal("response.output_item.done");
  });

  it("are kept, continued and forgotten", async () => {
    const first = await client.responses.create({ model, input: "My name is Ada" });
    expect(await client.responses.retrieve(first.id)).to.deep.include({ id: first.id, status: "completed" });
    expect((await client.responses.inputItems.list(first.id)).data[0]).to.have.nested.property("content[0].text", "My name is Ada");
    const alone = await client.responses.create({ model, input: "And now?", store: false });
    const second = await client.responses.create({ model, input: "And now?", previous_response_id: first.id });
    expect(second.usage!.input_tokens).to.equal(alone.usage!.input_tokens + first.usage!.total_tokens);
    await client.responses.delete(first.id);
    for (const id of [first.id, alone.id])
      expect(await client.responses.retrieve(id).catch((error: unknown) => error)).to.be.instanceOf(OpenAI.NotFoundError);
    const unknown = client.responses.create({ model, input: "Hi", previous_response_id: first.id });
    expect(await unknown.catch((error: unknown) => error)).to.include({ status: 400, code: "previous_response_not_found" });
  });
});
