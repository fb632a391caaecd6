import { expect } from "chai";
import fc from "fast-check";
import { readRequest as readMessages } from "../../../../src/gateway/formats/anthropic-messages/read.ts";
import { readRequest as readChat } from "../../../../src/gateway/formats/openai-chat/read.ts";
import type { Dialect, ReadResult, Speaks } from "../../../../src/gateway/pipeline/format.ts";
import { newBudget, type Tokenizer } from "../../../../src/gateway/tokens/index.ts";
import { USUAL_MODEL } from "../../../support/models.ts";

const letters: Tokenizer = { ready: Promise.resolve(), count: (text) => text.length };
const SPEAKS: readonly Speaks[] = ["openai", "claude"];

type Json = unknown;

/** Anything may stand anywhere: some of a value's parts are replaced, dropped or doubled. */
function spoiled(value: Json): fc.Arbitrary<Json> {
  const odd = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, "", 0, -1, 1e308, [], {}, [null], [[]], "data:,", "{", true));
  const inside = (): fc.Arbitrary<Json> => {
    if (Array.isArray(value)) return fc.tuple(...(value as Json[]).map((item) => spoiled(item)));
    if (typeof value !== "object" || value === null) return fc.constant(value);
    const parts = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, spoiled(part as Json)]));
    return fc.record(parts, { requiredKeys: Object.keys(parts).slice(0, 3) });
  };
  return fc.oneof({ weight: 14, arbitrary: inside() }, { weight: 1, arbitrary: odd });
}

const chat = {
  model: "m",
  messages: [
    { role: "system", content: "be brief" },
    {
      role: "user",
      content: [
        { type: "text", text: "x" },
        { type: "image_url", image_url: { url: "https://x" } },
        { type: "file", file: { file_data: "data:application/pdf;base64,AA" } },
      ],
    },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "a", type: "function", function: { name: "t", arguments: "{}" } }],
      thinking_blocks: [{ type: "thinking", thinking: "x", signature: "s" }],
    },
    { role: "tool", tool_call_id: "a", content: [{ type: "text", text: "x" }] },
  ],
  max_tokens: 2_000,
  tools: [{ type: "function", function: { name: "t", description: "d", parameters: { type: "object" }, strict: true } }],
  tool_choice: { type: "function", function: { name: "t" } },
  parallel_tool_calls: false,
  reasoning_effort: "high",
  response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" } } },
  thinking: { type: "enabled", budget_tokens: 1_024 },
  stop: ["x"],
  user: "u",
};
const message = {
  model: "m",
  max_tokens: 2_000,
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "x" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: "AA" } },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "x", signature: "" },
        { type: "tool_use", id: "a", name: "t", input: { a: 1 } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "a", is_error: true, content: [{ type: "text", text: "x" }] },
        { type: "document", title: "t", source: { type: "content", content: [{ type: "text", text: "x" }] } },
      ],
    },
  ],
  system: [{ type: "text", text: "x" }],
  tools: [{ name: "t", description: "d", input_schema: { type: "object" } }],
  tool_choice: { type: "tool", name: "t", disable_parallel_tool_use: true },
  thinking: { type: "enabled", budget_tokens: 1_024 },
  output_config: { effort: "high", format: { type: "json_schema", schema: {} } },
  metadata: { user_id: "u" },
  context_management: { edits: [{ type: "clear_tool_uses" }] },
  stop_sequences: ["x"],
};
const completion = {
  id: "c",
  model: "m",
  choices: [
    {
      index: 0,
      message: { content: "x", refusal: null, reasoning_content: "r", tool_calls: [{ id: "a", function: { name: "t", arguments: "{}" } }] },
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } },
};
const answer = {
  id: "msg",
  type: "message",
  model: "m",
  content: [
    { type: "text", text: "x" },
    { type: "thinking", thinking: "x", signature: "s" },
    { type: "tool_use", id: "a", name: "t", input: {} },
  ],
  stop_reason: "end_turn",
  stop_details: { explanation: "x" },
  usage: {
    input_tokens: 1,
    output_tokens: 2,
    cache_creation: { ephemeral_1h_input_tokens: 1 },
    output_tokens_details: { thinking_tokens: 1 },
    server_tool_use: {},
  },
};
const chunks = [
  {
    choices: [
      {
        index: 0,
        delta: {
          role: "assistant",
          content: "x",
          reasoning: "r",
          refusal: null,
          tool_calls: [{ index: 0, id: "a", function: { name: "t", arguments: "{" } }],
        },
        finish_reason: null,
      },
    ],
  },
  {
    choices: [{ index: 0, delta: { content: "y", tool_calls: [{ index: 1, function: { arguments: "}" } }] }, finish_reason: "stop" }],
    usage: { prompt_tokens: 1, completion_tokens: 1 },
  },
];
const events = [
  { type: "message_start", message: { id: "m", usage: { input_tokens: 1, output_tokens: 1 } } },
  { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "a", name: "t", input: {} } },
  { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: "{}" } },
  { type: "content_block_stop", index: 0 },
  { type: "content_block_start", index: 1, content_block: { type: "thinking", thinking: "x", signature: "" } },
  { type: "content_block_delta", index: 1, delta: { type: "thinking_delta", thinking: "x" } },
  { type: "content_block_delta", index: 1, delta: { type: "signature_delta", signature: "x" } },
  { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 1, input_tokens: null } },
];

const FORMATS = {
  chat: { body: chat, read: (body: Json): ReadResult => readChat(body) },
  messages: { body: message, read: (body: Json): ReadResult => readMessages(body, {}) },
};

describe("whatever a client or a provider sends", () => {
  for (const [name, { body, read }] of Object.entries(FORMATS)) {
    it(`a ${name} request is refused by a field's name or sent, and never throws`, () => {
      let sent = 0;
      fc.assert(
        fc.property(spoiled(body), (given) => {
          const result = read(given);
          if (!result.ok) {
            expect(result.failure).to.include({ status: 400 });
            return;
          }
          expect(result.request.countPrompt(letters, newBudget(), USUAL_MODEL)).to.satisfy(
            (count: unknown) => typeof count === "object" || (count as number) >= 0,
          );
          for (const speaks of SPEAKS) {
            const dialect = result.request.dialect(speaks);
            if ("code" in dialect) expect(dialect).to.include({ status: 400 });
            else {
              sent += 1;
              JSON.parse(dialect.encode("up", 500).body.toString());
            }
          }
        }),
        { numRuns: 2_000 },
      );
      expect(sent).to.be.greaterThan(50);
    });
  }

  const dialects = (): Dialect[] =>
    Object.values(FORMATS).flatMap(({ read }, i) => {
      const result = read({
        model: "m",
        max_tokens: 100,
        messages: [{ role: "user", content: "x" }],
        ...(i === 0 && { stream_options: { include_usage: true } }),
      });
      return SPEAKS.map((speaks) => (result.ok ? result.request.dialect(speaks) : undefined) as Dialect);
    });

  it("an answer is read or has failed, and never throws", () => {
    fc.assert(
      fc.property(fc.oneof(spoiled(completion), spoiled(answer)), (given) => {
        for (const dialect of dialects()) {
          const read = dialect.readWhole(Buffer.from(JSON.stringify(given)), "application/json");
          if (!read.ok) continue;
          expect(read.count(letters, newBudget()).tokens).to.be.at.least(0);
          for (const tokens of Object.values(read.usage?.tokens ?? {})) expect(tokens).to.be.at.least(0);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("a stream is read or has failed, and never throws", () => {
    const wire = (all: Json[]): Buffer => Buffer.from(all.map((one) => `data: ${JSON.stringify(one)}\n\n`).join(""));
    fc.assert(
      fc.property(fc.oneof(fc.tuple(...chunks.map((one) => spoiled(one))), fc.tuple(...events.map((one) => spoiled(one)))), (given) => {
        for (const dialect of dialects()) {
          const stream = dialect.openStream({ endsWithoutTerminal: false });
          stream.push(wire(given));
          stream.push(Buffer.from('data: [DONE]\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'));
          stream.end();
          expect(stream.state).to.not.equal("open");
          expect(stream.count(letters, newBudget()).tokens).to.be.at.least(0);
          for (const tokens of Object.values(stream.usage?.tokens ?? {})) expect(tokens).to.be.at.least(0);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
