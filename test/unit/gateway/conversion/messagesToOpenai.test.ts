import { expect } from "chai";
import { readRequest } from "../../../../src/gateway/formats/anthropic-messages/read.ts";
import { sentTo } from "../dialects.ts";

const messages = [{ role: "user", content: "hello" }];
const good = { model: "m", max_tokens: 4_000, messages };
const weather = { name: "weather", description: "d", input_schema: { type: "object", properties: { city: {} } } };
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } };

function request(body: object) {
  const read = readRequest(body, {});
  if (!read.ok) throw new Error(read.failure.message);
  return read.request;
}
const sent = (more: object, cap?: number, model?: string): Record<string, unknown> =>
  sentTo(request({ ...good, ...more }), "openai", cap, model);
const user = (...content: object[]) => ({ messages: [{ role: "user", content }] });

describe("a messages request to OpenAI's provider", () => {
  for (const [param, more] of [
    ["max_tokens", { max_tokens: 0 }],
    ["top_k", { top_k: 5 }],
    ["brand_new", { brand_new: 1 }],
    ["stop_sequences", { stop_sequences: ["a", "b", "c", "d", "e"] }],
    ["tools[0].type", { tools: [{ type: "bash_20250124", name: "bash" }] }],
    ["tools[0].input_examples", { tools: [{ ...weather, input_examples: [{ city: "x" }] }] }],
    ["messages[0].content[0].source.type", user({ type: "document", source: { type: "url", url: "https://x" } })],
    ["messages[0].content[0].type", user({ type: "search_result", content: [] })],
    ["messages[0].content[0].content[0].type", user({ type: "tool_result", tool_use_id: "t", content: [{ type: "search_result" }] })],
    ["context_management", { context_management: { edits: [{ type: "tomorrow" }] } }],
  ] as [string, object][]) {
    it(`is refused when it asks what cannot be said there: ${param} in ${JSON.stringify(more).slice(0, 80)}`, () => {
      expect(request({ ...good, ...more }).dialect("openai")).to.include({ code: "validation_failed", status: 400, param });
    });
  }

  it("loses only what changes nothing of the answer", () => {
    const more = {
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ["END"],
      metadata: { user_id: "u-1" },
      service_tier: "auto",
      cache_control: { type: "ephemeral" },
    };
    expect(
      sent({
        ...more,
        system: [
          { type: "text", text: "be brief", cache_control: { type: "ephemeral" } },
          { type: "text", text: "be kind" },
        ],
      }),
    ).to.deep.equal({
      model: "up",
      max_tokens: 4_000,
      messages: [{ role: "system", content: "be brief\n\nbe kind" }, ...messages],
      temperature: 0.5,
      top_p: 0.9,
      stop: ["END"],
      user: "u-1",
    });
  });

  it("names its cap as the model does, and asks for usage in a stream", () => {
    expect(sent({ stream: true }, 100, "gpt-5")).to.deep.include({
      max_completion_tokens: 100,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(sent({}, 100, "deepseek-chat")).to.include({ max_tokens: 100 });
  });

  it("keeps the order of turns, with results of tools in messages of their own before what is shown and said", () => {
    const turns = [
      { role: "user", content: [{ type: "text", text: "weather?" }, image] },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "sig" },
          { type: "text", text: "looking" },
          { type: "tool_use", id: "a", name: "weather", input: { city: "Paris" } },
          { type: "tool_use", id: "b", name: "weather", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "a", content: [{ type: "text", text: "sun" }, image] },
          { type: "tool_result", tool_use_id: "b", content: "no idea", is_error: true },
          { type: "text", text: "and now?" },
        ],
      },
    ];
    const shown = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
    const calls = [
      { id: "a", type: "function", function: { name: "weather", arguments: '{"city":"Paris"}' } },
      { id: "b", type: "function", function: { name: "weather", arguments: "{}" } },
    ];
    expect(sent({ messages: turns, tools: [weather] })).to.deep.include({
      messages: [
        { role: "user", content: [{ type: "text", text: "weather?" }, shown] },
        { role: "assistant", content: "looking", tool_calls: calls },
        { role: "tool", tool_call_id: "a", content: "sun" },
        { role: "tool", tool_call_id: "b", content: "Error: no idea" },
        { role: "user", content: [shown, { type: "text", text: "and now?" }] },
      ],
      tools: [{ type: "function", function: { name: "weather", description: "d", parameters: weather.input_schema } }],
    });
  });

  for (const [choice, converted] of [
    [{ type: "auto" }, "auto"],
    [{ type: "none" }, "none"],
    [{ type: "any" }, "required"],
    [
      { type: "tool", name: "weather" },
      { type: "function", function: { name: "weather" } },
    ],
  ] as const) {
    it(`chooses tools as asked: ${JSON.stringify(choice)}`, () => {
      expect(sent({ tools: [weather], tool_choice: choice })["tool_choice"]).to.deep.equal(converted);
      const one = sent({ tools: [weather], tool_choice: { ...choice, disable_parallel_tool_use: true } });
      expect(one).to.deep.include({ tool_choice: converted, parallel_tool_calls: false });
    });
  }

  it("shows documents: inline as files, text as text", () => {
    const pdf = { type: "document", title: "a.pdf", source: { type: "base64", media_type: "application/pdf", data: "BBBB" } };
    const text = { type: "document", title: "notes", source: { type: "text", media_type: "text/plain", data: "words" } };
    expect(
      (sent(user(pdf, text, { type: "image", source: { type: "url", url: "https://x/a.png" } }))["messages"] as object[])[0],
    ).to.deep.equal({
      role: "user",
      content: [
        { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" } },
        { type: "text", text: "notes" },
        { type: "text", text: "words" },
        { type: "image_url", image_url: { url: "https://x/a.png" } },
      ],
    });
  });

  it("thinks as hard as its budget is large, or as it is told", () => {
    const budget = (budget_tokens: number) => sent({ thinking: { type: "enabled", budget_tokens } })["reasoning_effort"];
    expect([budget(1_024), budget(2_000), budget(3_500)]).to.deep.equal(["low", "medium", "high"]);
    expect(sent({ thinking: { type: "adaptive" }, output_config: { effort: "max" } })["reasoning_effort"]).to.equal("xhigh");
    for (const thinking of [{ type: "disabled" }, { type: "adaptive" }])
      expect(sent({ thinking })).to.not.have.property("reasoning_effort");
  });

  it("answers in a schema when asked", () => {
    const schema = { type: "object" };
    const format = { type: "json_schema", json_schema: { name: "answer", schema, strict: true } };
    expect(sent({ output_config: { format: { type: "json_schema", schema } } })["response_format"]).to.deep.equal(format);
  });
});
