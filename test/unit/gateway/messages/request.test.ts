import { expect } from "chai";
import { readRequest } from "../../../../src/gateway/formats/anthropic-messages/read.ts";
import { newBudget, type Tokenizer } from "../../../../src/gateway/tokens/index.ts";
import { USUAL_MODEL } from "../../../support/models.ts";
import { pdf } from "../../../support/pictures.ts";
import { dialectOf, sentTo } from "../dialects.ts";

const messages = [{ role: "user", content: "hello there" }];
const good = { model: "m", max_tokens: 2_000, messages };
const tool = { name: "t", input_schema: { type: "object" } };
const letters: Tokenizer = { ready: Promise.resolve(), count: (text) => text.length };
const VERSION = { "anthropic-version": "2023-06-01" };

function request(body: object, headers: Record<string, string> = VERSION) {
  const read = readRequest(body, headers);
  if (!read.ok) throw new Error(read.failure.message);
  return read.request;
}
const sent = (body: object, cap?: number): Record<string, unknown> => sentTo(request(body), "claude", cap);
const blocks = (...content: object[]) => ({ ...good, messages: [{ role: "user", content }] });

describe("a messages request", () => {
  for (const [param, body, headers] of [
    ["body", []],
    ["model", { ...good, model: undefined }],
    ["max_tokens", { model: "m", messages }],
    ["max_tokens", { ...good, max_tokens: -1 }],
    ["max_tokens", { ...good, max_tokens: "5" }],
    ["max_tokens", { ...good, max_tokens: null }],
    ["messages", { model: "m", max_tokens: 5 }],
    ["messages", { ...good, messages: [] }],
    ["messages[0].role", { ...good, messages: [{ role: "tool", content: "x" }] }],
    ["messages[0].content", { ...good, messages: [{ role: "user" }] }],
    ["messages[0].content", { ...good, messages: [{ role: "user", content: 5 }] }],
    ["messages[0].content[0].text", blocks({ type: "text" })],
    ["messages[0].content[0].source", blocks({ type: "image" })],
    ["messages[0].content[0].source.data", blocks({ type: "image", source: { type: "base64", media_type: "image/png" } })],
    ["messages[0].content[0].source.type", blocks({ type: "image", source: { type: "file", file_id: "file_1" } })],
    ["messages[0].content[0].type", blocks({ type: "container_upload", file_id: "file_1" })],
    ["messages[0].content[0].tool_use_id", blocks({ type: "tool_result", content: "x" })],
    ["messages[0].content[0].content[0].text", blocks({ type: "tool_result", tool_use_id: "t", content: [{ type: "text" }] })],
    ["messages[0].content[0].input", blocks({ type: "tool_use", id: "t", name: "t", input: "x" })],
    ["system", { ...good, system: 5 }],
    ["system[0].text", { ...good, system: [{ type: "text" }] }],
    ["stream", { ...good, stream: "yes" }],
    ["temperature", { ...good, temperature: 2 }],
    ["top_p", { ...good, top_p: -1 }],
    ["top_k", { ...good, top_k: 0.5 }],
    ["stop_sequences", { ...good, stop_sequences: "x" }],
    ["metadata", { ...good, metadata: { user_id: 5 } }],
    ["tools", { ...good, tools: {} }],
    ["tools[0].name", { ...good, tools: [{ input_schema: {} }] }],
    ["tools[0].input_schema", { ...good, tools: [{ name: "t" }] }],
    ["tools[0].max_uses", { ...good, tools: [{ type: "web_search_20250305", name: "web_search" }] }],
    ["tools[0].max_uses", { ...good, tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 1_000 }] }],
    ["tools[1].type", { ...good, tools: [tool, { type: "code_execution_20250825", name: "code_execution" }] }],
    ["tools[0].type", { ...good, tools: [{ type: "web_fetch_20250910", name: "web_fetch" }] }],
    ["tools[0].type", { ...good, tools: [{ type: "mcp_toolset" }] }],
    ["tools[0].type", { ...good, tools: [{ type: "something_of_tomorrow" }] }],
    ["tool_choice", { ...good, tool_choice: "auto" }],
    ["tool_choice.type", { ...good, tool_choice: { type: "required" } }],
    ["tool_choice.name", { ...good, tool_choice: { type: "tool" } }],
    ["tool_choice.disable_parallel_tool_use", { ...good, tool_choice: { type: "auto", disable_parallel_tool_use: "no" } }],
    ["thinking", { ...good, thinking: true }],
    ["thinking.budget_tokens", { ...good, thinking: { type: "enabled" } }],
    ["thinking.budget_tokens", { ...good, thinking: { type: "enabled", budget_tokens: 1_000 } }],
    ["thinking.budget_tokens", { ...good, thinking: { type: "enabled", budget_tokens: 2_000 } }],
    ["container", { ...good, container: "c_1" }],
    ["mcp_servers", { ...good, mcp_servers: [] }],
    ["fallbacks", { ...good, fallbacks: "default" }],
    ["service_tier", { ...good, service_tier: "priority" }],
    ["speed", { ...good, speed: "fast" }],
    ["inference_geo", { ...good, inference_geo: "us" }],
    ["context_management.edits[0].type", { ...good, context_management: { edits: [{ type: "compact_20260112" }] } }],
    ["anthropic-version", good, { "anthropic-version": "2022-01-01" }],
    ["anthropic-beta", good, { "anthropic-beta": "interleaved-thinking-2025-05-14, context-1m-2025-08-07" }],
  ] as [string, object, Record<string, string>?][]) {
    it(`is refused with the name of the field: ${param} in ${JSON.stringify(headers ?? body)?.slice(0, 90)}`, () => {
      const read = readRequest(body, headers ?? VERSION);
      expect(read.ok).to.equal(false);
      if (!read.ok) expect(read.failure).to.include({ status: 400, param });
    });
  }

  it("passes what costs nothing beyond its tokens, and fields it does not know", () => {
    const body = {
      ...good,
      tools: [tool, { type: "bash_20250124", name: "bash" }, { type: "text_editor_20250728", name: "str_replace_based_edit_tool" }],
      thinking: { type: "adaptive" },
      speed: "standard",
      service_tier: "auto",
      context_management: { edits: [{ type: "clear_tool_uses_20250919" }] },
      brand_new: { a: 1 },
      temperature: null,
    };
    expect(sent(body)).to.deep.equal({ ...body, model: "up" });
  });

  it("that may search says how often, and needs a price for it", () => {
    const search = (max_uses: number) => ({ type: "web_search_20250305", name: "web_search", max_uses });
    const read = request({ ...good, tools: [search(2), search(3)] });
    expect(read.units).to.deep.equal({ searches: 5 });
    expect(read.needs).to.have.property("meter", "searches");
    expect(read.needs!.refusal).to.include({ status: 400, param: "tools" });
    const once = request({ ...good, tools: [search(1)] }).countPrompt(letters, newBudget(), USUAL_MODEL) as number;
    expect(read.countPrompt(letters, newBudget(), USUAL_MODEL)).to.equal(once + 735 + 40_000);
    expect(request(good)).to.include({ units: undefined, needs: undefined });
  });

  it("may be made under either version or none, and says the one it is made under", () => {
    const headers = (caller: Record<string, string>) => dialectOf(request(good, caller), "claude").headers!(caller);
    expect(headers({})).to.deep.equal(["anthropic-version", "2023-06-01"]);
    expect(headers({ "anthropic-version": "2026-10-21", "anthropic-beta": "interleaved-thinking-2025-05-14" })).to.deep.equal([
      "anthropic-version",
      "2026-10-21",
      "anthropic-beta",
      "interleaved-thinking-2025-05-14",
    ]);
  });

  it("leaves out thinking that another format's provider gave unsigned, and nothing else", () => {
    const unsigned = { type: "thinking", thinking: "hm", signature: "" };
    const signed = { type: "thinking", thinking: "hm", signature: "sig" };
    const text = { type: "text", text: "x" };
    const turns = [...messages, { role: "assistant", content: [unsigned, text] }, ...messages, { role: "assistant", content: [unsigned] }];
    expect(sent({ ...good, messages: turns })["messages"]).to.deep.equal([
      ...messages,
      { role: "assistant", content: [text] },
      ...messages,
    ]);
    const kept = [...messages, { role: "assistant", content: [signed, text] }];
    expect(sent({ ...good, messages: kept })["messages"]).to.deep.equal(kept);
  });

  it("may think more than one answer's cap between tools", () => {
    const thinking = { ...good, thinking: { type: "enabled", budget_tokens: 9_000 } };
    expect(request(thinking, { "anthropic-beta": "interleaved-thinking-2025-05-14" }).outputCap).to.equal(2_000);
  });

  it("is lowered with the thinking inside it", () => {
    expect(sent({ ...good, thinking: { type: "enabled", budget_tokens: 1_500 } }, 1_200)).to.deep.include({
      max_tokens: 1_200,
      thinking: { type: "enabled", budget_tokens: 1_199 },
    });
  });

  it("is counted with tools, pictures and documents by the model's rules, never by their base64", () => {
    const count = (body: object) => request(body).countPrompt(letters, newBudget(), USUAL_MODEL);
    const plain = 3 + 4 + "hello there".length;
    expect(count(good)).to.equal(plain);
    expect(count({ ...good, system: [{ type: "text", text: "be kind" }] })).to.equal(plain + 7);
    expect(count({ ...good, tools: [tool] })).to.equal(plain + 346 + JSON.stringify(tool).length);
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "A".repeat(100_000) } };
    expect(count(blocks(image))).to.deep.equal({ tokens: 3 + 4 + 1_600, unseen: 3_400 });
    const linked = { type: "image", source: { type: "url", url: "https://example.com/toll.png" } };
    expect(count(blocks(linked))).to.deep.equal({ tokens: 3 + 4 + 1_600, unseen: 3_400 });
    const document = { type: "document", source: { type: "base64", media_type: "application/pdf", data: pdf(4).toString("base64") } };
    expect(count(blocks(document))).to.deep.equal({ tokens: 3 + 4 + 12_000, unseen: 7_200 });
    expect(count(blocks({ type: "document", source: { type: "url", url: "https://example.com/toll.pdf" } }))).to.deep.equal({
      tokens: 3 + 4 + 10_000,
      unseen: 190_000,
    });
    const result = { type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "four" }, image] };
    expect(count(blocks(result))).to.deep.equal({ tokens: 3 + 4 + 4 + 4 + 1_600, unseen: 3_400 });
  });
});
