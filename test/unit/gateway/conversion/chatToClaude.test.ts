import { expect } from "chai";
import { readRequest } from "../../../../src/gateway/formats/openai-chat/read.ts";
import { dialectOf, sentTo } from "../dialects.ts";

const messages = [{ role: "user", content: "hello" }];
const good = { model: "m", max_tokens: 4_000, messages };
const weather = {
  type: "function",
  function: { name: "weather", description: "d", parameters: { type: "object", properties: { city: {} } } },
};
const call = (id: string, args: string) => ({ id, type: "function", function: { name: "weather", arguments: args } });

function request(body: object) {
  const read = readRequest(body);
  if (!read.ok) throw new Error(read.failure.message);
  return read.request;
}
const sent = (more: object, cap?: number, model?: string): Record<string, unknown> =>
  sentTo(request({ ...good, ...more }), "claude", cap, model);

describe("a chat request to Anthropic's provider", () => {
  for (const [param, more] of [
    ["n", { n: 2 }],
    ["logprobs", { logprobs: true }],
    ["top_logprobs", { top_logprobs: 3 }],
    ["logit_bias", { logit_bias: { 50256: -100 } }],
    ["presence_penalty", { presence_penalty: 0.5 }],
    ["frequency_penalty", { frequency_penalty: -1 }],
    ["verbosity", { verbosity: "low" }],
    ["temperature", { temperature: 1.5 }],
    ["functions", { functions: [{ name: "f" }] }],
    ["repetition_penalty", { repetition_penalty: 1.1 }],
    ["reasoning_effort", { reasoning_effort: "enormous" }],
    ["reasoning_effort", { reasoning_effort: "high", max_tokens: 500 }],
    ["temperature", { reasoning_effort: "high", temperature: 0.2 }],
    ["top_p", { thinking: { type: "enabled", budget_tokens: 2_500 }, top_p: 0.5 }],
    ["stop", { stop: ["x", "\n"] }],
    [
      "messages[0].content[0].type",
      { messages: [{ role: "system", content: [{ type: "image_url", image_url: { url: "https://x.invalid/a.png" } }] }, ...messages] },
    ],
    ["response_format.type", { response_format: { type: "json_object" } }],
    ["response_format.json_schema.schema", { response_format: { type: "json_schema", json_schema: { name: "x" } } }],
    ["tools[1]", { tools: [weather, { type: "custom", custom: { name: "c" } }] }],
    ["tool_choice", { tools: [weather], tool_choice: "sometimes" }],
    ["tool_choice", { tools: [weather], tool_choice: { type: "allowed_tools" } }],
    ["messages[0].role", { messages: [{ role: "function", name: "f", content: "x" }] }],
    [
      "messages[0].content[0].image_url.url",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "ftp://x" } }] }] },
    ],
    ["messages[0].content[0].file.file_data", { messages: [{ role: "user", content: [{ type: "file", file: { file_data: "x" } }] }] }],
    ["messages[0].content[0].type", { messages: [{ role: "user", content: [{ type: "video_url" }] }] }],
    ["messages[1].tool_calls[0].function.arguments", { messages: [...messages, { role: "assistant", tool_calls: [call("a", "{oh")] }] }],
    [
      "messages[1].tool_calls[0].function.arguments",
      { messages: [...messages, { role: "assistant", tool_calls: [call("a", '{"a":'.repeat(20_000) + "1" + "}".repeat(20_000))] }] },
    ],
    ["messages[1].tool_call_id", { messages: [...messages, { role: "tool", content: "x" }] }],
  ] as [string, object][]) {
    it(`is refused when it asks what cannot be said there: ${param} in ${JSON.stringify(more).slice(0, 80)}`, () => {
      const dialect = request({ ...good, ...more }).dialect("claude");
      expect(dialect).to.include({ code: "validation_failed", status: 400, param });
    });
  }

  it("loses only what changes nothing of the answer", () => {
    const harmless = {
      seed: 1,
      store: true,
      metadata: { a: "b" },
      n: 1,
      logprobs: false,
      presence_penalty: 0,
      service_tier: "auto",
      stream_options: null,
    };
    expect(sent({ ...harmless, user: "u-1", temperature: 0.5, top_p: 0.9, stop: "END" })).to.deep.equal({
      model: "up",
      max_tokens: 4_000,
      messages: [{ role: "user", content: [{ type: "text", text: "hello" }] }],
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ["END"],
      metadata: { user_id: "u-1" },
    });
  });

  it("always names a cap, and is made under the version that knows temperature", () => {
    expect(sent({ max_tokens: undefined }, 900)).to.include({ max_tokens: 900 });
    expect(sent({ max_completion_tokens: 50 })).to.include({ max_tokens: 50 });
    expect(dialectOf(request(good), "claude").headers!({ "anthropic-version": "2026-10-21", "anthropic-beta": "x" })).to.deep.equal([
      "anthropic-version",
      "2023-06-01",
    ]);
  });

  it("keeps the order of turns, with instructions apart and results of tools first in the user's turn", () => {
    const conversation = [
      { role: "system", content: "be brief" },
      { role: "user", content: "weather?" },
      { role: "assistant", content: "looking", tool_calls: [call("a", '{"city":"Paris"}'), call("b", "")] },
      { role: "tool", tool_call_id: "a", content: "sun" },
      { role: "tool", tool_call_id: "b", content: [{ type: "text", text: "rain" }] },
      { role: "user", content: "and now?" },
      { role: "developer", content: "be kind" },
      { role: "user", content: [{ type: "text", text: "well?" }] },
    ];
    expect(sent({ messages: conversation, tools: [weather] })).to.deep.include({
      system: [
        { type: "text", text: "be brief" },
        { type: "text", text: "be kind" },
      ],
      messages: [
        { role: "user", content: [{ type: "text", text: "weather?" }] },
        {
          role: "assistant",
          content: [
            { type: "text", text: "looking" },
            { type: "tool_use", id: "a", name: "weather", input: { city: "Paris" } },
            { type: "tool_use", id: "b", name: "weather", input: {} },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "a", content: "sun" },
            { type: "tool_result", tool_use_id: "b", content: [{ type: "text", text: "rain" }] },
            { type: "text", text: "and now?" },
            { type: "text", text: "well?" },
          ],
        },
      ],
      tools: [{ name: "weather", description: "d", input_schema: weather.function.parameters }],
      tool_choice: { type: "auto" },
    });
    expect(sent({ messages: [{ role: "system", content: "hello" }] })).to.deep.include({
      messages: [{ role: "user", content: [{ type: "text", text: "hello" }] }],
    });
  });

  for (const [choice, converted] of [
    ["auto", { type: "auto" }],
    ["none", { type: "none" }],
    ["required", { type: "any" }],
    [
      { type: "function", function: { name: "weather" } },
      { type: "tool", name: "weather" },
    ],
  ] as const) {
    it(`chooses tools as asked: ${JSON.stringify(choice)}`, () => {
      expect(sent({ tools: [weather], tool_choice: choice })["tool_choice"]).to.deep.equal(converted);
      const one = sent({ tools: [weather], tool_choice: choice, parallel_tool_calls: false })["tool_choice"];
      expect(one).to.deep.equal(choice === "none" ? converted : { ...converted, disable_parallel_tool_use: true });
    });
  }

  it("names the tools that were called before, also when there are none any more", () => {
    const turns = [
      ...messages,
      { role: "assistant", tool_calls: [call("a", "{}"), call("b", "{}")] },
      { role: "tool", tool_call_id: "a", content: "x" },
    ];
    expect(sent({ messages: turns })).to.deep.include({
      tools: [{ name: "weather", input_schema: { type: "object", properties: {} } }],
      tool_choice: { type: "none" },
    });
  });

  it("shows pictures and files, inline and behind links", () => {
    const content = [
      { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
      { type: "image_url", image_url: { url: "https://example.com/a.jpg" } },
      { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" } },
    ];
    expect((sent({ messages: [{ role: "user", content }] })["messages"] as { content: object[] }[])[0]!.content).to.deep.equal([
      { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
      { type: "image", source: { type: "url", url: "https://example.com/a.jpg" } },
      { type: "document", source: { type: "base64", media_type: "application/pdf", data: "BBBB" }, title: "a.pdf" },
    ]);
  });

  it("thinks as hard as asked: within a budget, or as newer models are told", () => {
    expect(sent({ reasoning_effort: "medium" })["thinking"]).to.deep.equal({ type: "enabled", budget_tokens: 2_000 });
    expect(sent({ reasoning_effort: "low" })["thinking"]).to.deep.equal({ type: "enabled", budget_tokens: 1_024 });
    expect(sent({ reasoning_effort: "high" }, 1_100)["thinking"]).to.deep.equal({ type: "enabled", budget_tokens: 1_024 });
    for (const more of [{ reasoning_effort: "none" }, {}]) expect(sent(more)).to.not.have.property("thinking");
    for (const model of ["claude-opus-4-6", "anthropic/claude-sonnet-5-5", "claude-opus-4.7"]) {
      expect(sent({ reasoning_effort: "high" }, undefined, model)).to.deep.include({
        thinking: { type: "adaptive" },
        output_config: { effort: "high" },
      });
    }
    expect(sent({ reasoning_effort: "high" }, undefined, "anthropic/claude-sonnet-4")["thinking"]).to.include({ type: "enabled" });
    expect(sent({ reasoning_effort: "high", tools: [weather], tool_choice: "required" })).to.not.have.property("thinking");
  });

  it("gives signed thinking back, and thinks on in the middle of tool calls only with it", () => {
    const thinking_blocks = [
      { type: "thinking", thinking: "hm", signature: "sig" },
      { type: "thinking", thinking: "no", signature: "" },
    ];
    const turns = (assistant: object) => [
      ...messages,
      { role: "assistant", content: null, tool_calls: [call("a", "{}")], reasoning_content: "hm", ...assistant },
      { role: "tool", tool_call_id: "a", content: "sun" },
    ];
    const signed = sent({ messages: turns({ thinking_blocks }), tools: [weather], reasoning_effort: "high" });
    expect((signed["messages"] as { content: object[] }[])[1]!.content).to.deep.equal([
      thinking_blocks[0],
      { type: "tool_use", id: "a", name: "weather", input: {} },
    ]);
    expect(signed).to.have.property("thinking");
    expect(sent({ messages: turns({}), tools: [weather], reasoning_effort: "high" })).to.not.have.property("thinking");
  });

  it("answers in a schema when asked", () => {
    const schema = { type: "object", properties: {}, additionalProperties: false };
    const format = { type: "json_schema", json_schema: { name: "x", schema, strict: true } };
    expect(sent({ response_format: format })["output_config"]).to.deep.equal({ format: { type: "json_schema", schema } });
  });
});
