import { expect } from "chai";
import fc from "fast-check";
import { readRequest as readMessages } from "../../../../src/gateway/formats/anthropic-messages/read.ts";
import { readRequest as readChat } from "../../../../src/gateway/formats/openai-chat/read.ts";
import type { RelayRequest, Speaks } from "../../../../src/gateway/pipeline/format.ts";
import { dialectOf, sentTo } from "../dialects.ts";

type Fields = Record<string, unknown>;

function chat(body: object): RelayRequest {
  const read = readChat(body);
  if (!read.ok) throw new Error(read.failure.message);
  return read.request;
}
function message(body: object): RelayRequest {
  const read = readMessages(body, {});
  if (!read.ok) throw new Error(read.failure.message);
  return read.request;
}

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const name = fc.stringMatching(/^[a-z_]{1,12}$/);
const json = fc
  .dictionary(fc.string({ maxLength: 6 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Fields);
const picture = fc
  .constantFrom("data:image/png;base64,AAAA", "https://example.com/a.jpg")
  .map((url) => ({ type: "image_url", image_url: { url } }));
const parts = fc.array(
  fc.oneof(
    words.map((text) => ({ type: "text", text })),
    picture,
  ),
  { minLength: 1, maxLength: 3 },
);
const call = fc.record({ id: fc.uuid(), name, args: json });

/** One exchange: what the user says, what the model answers, and what its tools gave. */
const exchange = fc.record({
  asked: fc.oneof(words, parts),
  said: fc.option(words, { nil: undefined }),
  calls: fc.array(call, { maxLength: 3 }),
  results: fc.array(words, { minLength: 3, maxLength: 3 }),
});

const conversation = fc.array(exchange, { minLength: 1, maxLength: 4 }).map((exchanges) =>
  exchanges.flatMap(({ asked, said, calls, results }) => [
    { role: "user", content: asked },
    ...(said === undefined && calls.length === 0
      ? []
      : [
          {
            role: "assistant",
            content: said ?? null,
            ...(calls.length > 0 && {
              tool_calls: calls.map(({ id, name: tool, args }) => ({
                id,
                type: "function",
                function: { name: tool, arguments: JSON.stringify(args) },
              })),
            }),
          },
        ]),
    ...calls.map(({ id }, i) => ({ role: "tool", tool_call_id: id, content: results[i] })),
  ]),
);

/** A conversation without what formats are free in: one text or a list of it, and whether one user's turns are one message or two. */
function plain(messages: Fields[]): unknown[] {
  const turns: { role: unknown; parts: unknown[] }[] = [];
  for (const { role, content, tool_calls, tool_call_id } of messages) {
    const said = typeof content === "string" ? [{ type: "text", text: content }] : ((content ?? []) as unknown[]);
    const all = [...said, ...((tool_calls ?? []) as unknown[]), ...(tool_call_id === undefined ? [] : [{ of: tool_call_id }])];
    const last = turns.at(-1);
    if (last && last.role === role && role !== "tool") last.parts.push(...all);
    else turns.push({ role, parts: all });
  }
  return turns;
}

describe("a request there and back", () => {
  it("keeps text, pictures, tools, calls and results in their order", () => {
    const tools = fc.array(fc.record({ name, description: words, parameters: json }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(conversation, tools, fc.option(words, { nil: undefined }), (messages, functions, system) => {
        const body = {
          model: "m",
          max_tokens: 100,
          messages: [...(system === undefined ? [] : [{ role: "system", content: system }]), ...messages],
          tools: functions.map((one) => ({ type: "function", function: one })),
          tool_choice: "auto",
        };
        const claude = sentTo(chat(body), "claude");
        const back = sentTo(message(claude), "openai");
        expect(plain(back["messages"] as Fields[])).to.deep.equal(plain(body.messages as Fields[]));
        expect(back["tools"]).to.deep.equal(body.tools);
        expect(back).to.include({ max_tokens: 100, tool_choice: "auto" });
        expect(sentTo(chat(back), "claude")).to.deep.equal(claude);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a complete answer there and back", () => {
  const good = { model: "m", max_tokens: 100, messages: [{ role: "user", content: "x" }] };
  function converted(request: RelayRequest, speaks: Speaks, answer: object): Fields {
    const result = dialectOf(request, speaks).readWhole(Buffer.from(JSON.stringify(answer)), "application/json");
    if (!result.ok) throw new Error(result.failure.message);
    return JSON.parse(result.body!.toString()) as Fields;
  }

  it("keeps text, thinking, tools, arguments, usage and why it stopped", () => {
    const answer = fc.record({
      text: fc.option(words, { nil: undefined }),
      thinking: fc.option(words, { nil: undefined }),
      calls: fc.array(call, { maxLength: 3 }),
      cut: fc.boolean(),
      usage: fc.record({ input: fc.nat(9_999), cached: fc.nat(999), written: fc.nat(999), output: fc.nat(9_999) }),
    });
    fc.assert(
      fc.property(answer, ({ text, thinking, calls, cut, usage }) => {
        const given = {
          id: "msg_1",
          type: "message",
          role: "assistant",
          model: "m",
          content: [
            ...(thinking === undefined ? [] : [{ type: "thinking", thinking, signature: "" }]),
            ...(text === undefined ? [] : [{ type: "text", text }]),
            ...calls.map(({ id, name: tool, args }) => ({ type: "tool_use", id, name: tool, input: args })),
          ],
          stop_reason: cut ? "max_tokens" : calls.length > 0 ? "tool_use" : "end_turn",
          stop_sequence: null,
          usage: {
            input_tokens: usage.input,
            cache_creation_input_tokens: usage.written,
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.output,
            output_tokens_details: null,
            server_tool_use: null,
          },
        };
        const completion = converted(chat(good), "claude", given);
        expect(completion["usage"]).to.include({
          prompt_tokens: usage.input + usage.cached + usage.written,
          completion_tokens: usage.output,
        });
        expect(converted(message(good), "openai", completion)).to.deep.equal(given);
      }),
      { numRuns: 300 },
    );
  });

  it("is an answer although the cap cut off the arguments of a tool", () => {
    const cutOff = {
      choices: [{ index: 0, message: { tool_calls: [{ id: "a", function: { name: "t", arguments: "{oh" } }] }, finish_reason: "length" }],
      usage: { prompt_tokens: 1500, completion_tokens: 800, total_tokens: 2300 },
    };
    const read = dialectOf(message(good), "openai").readWhole(Buffer.from(JSON.stringify(cutOff)), undefined);
    if (!read.ok) throw new Error(read.failure.message);
    expect(read.usage?.tokens).to.include({ input: 1500, output: 800 });
    expect(JSON.parse(read.body!.toString())).to.deep.include({
      content: [{ type: "tool_use", id: "a", name: "t", input: { INVALID_JSON: "{oh" } }],
      stop_reason: "max_tokens",
    });
  });

  it("keeps content that comes as a list of parts", () => {
    const content = [
      { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
      { type: "text", text: "The answer." },
    ];
    const answer = { choices: [{ index: 0, message: { content }, finish_reason: "stop" }] };
    const read = dialectOf(message(good), "openai").readWhole(Buffer.from(JSON.stringify(answer)), undefined);
    if (!read.ok) throw new Error(read.failure.message);
    expect((JSON.parse(read.body!.toString()) as { content: unknown }).content).to.deep.equal([
      { type: "thinking", thinking: "hm", signature: "" },
      { type: "text", text: "The answer." },
    ]);
  });

  it("fails when there is no answer in it", () => {
    const dialect = dialectOf(message(good), "openai");
    for (const body of [{ choices: [] }, [], { error: { message: "x" } }]) {
      expect(dialect.readWhole(Buffer.from(JSON.stringify(body)), undefined)).to.include({ ok: false });
    }
    expect(dialectOf(chat(good), "claude").readWhole(Buffer.from('{"type":"error","error":{"type":"overloaded_error"}}'), undefined))
      .to.have.property("failure")
      .that.includes({ status: 503 });
  });

  it("tells a provider's refusals in the client's words, with their status", () => {
    const claude = dialectOf(chat(good), "claude");
    const said = Buffer.from('{"type":"error","error":{"type":"not_found_error","message":"model: at http://10.0.0.1"}}');
    expect(claude.readError(404, said, undefined)).to.deep.include({
      status: 404,
      message: "model: at [address]",
      vendor: { type: "invalid_request_error", code: "model_not_found" },
    });
    expect(claude.readError(529, said, undefined)).to.include({ status: 503, elsewhere: true });
    const broke = Buffer.from(
      '{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}',
    );
    expect(claude.readError(400, broke, undefined)).to.include({ status: 502, record: "upstream_refused" });
    expect(dialectOf(message(good), "openai").readError(400, Buffer.from('{"error":{"message":"bad"}}'), undefined)).to.include({
      status: 400,
      message: "bad",
    });
  });
});
