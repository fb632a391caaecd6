import { expect } from "chai";
import fc from "fast-check";
import { ChunksToMessage } from "../../../../src/gateway/formats/anthropic-messages/to-openai/stream.ts";
import { ConvertedStream } from "../../../../src/gateway/formats/conversion/stream.ts";
import { MessageToChunks } from "../../../../src/gateway/formats/openai-chat/to-claude/stream.ts";
import type { Tokenizer } from "../../../../src/gateway/tokens/index.ts";
import { cut, drain } from "../streams.ts";
import { assembleChunks, assembleMessage, chunkEvents, messageEvents, type Said } from "./wire.ts";

const words: Tokenizer = { ready: Promise.resolve(), count: (text) => text.split(/\s+/).filter(Boolean).length };

const toChat = (showUsage = false) => new ConvertedStream(new MessageToChunks({ showUsage }));
const toMessages = (endsWithoutTerminal = false) => new ConvertedStream(new ChunksToMessage({ endsWithoutTerminal }));
const whole = (stream: ConvertedStream, bytes: string) => drain(stream, [Buffer.from(bytes)]);
const all = (seen: { text: string; tail: string | undefined }): string => seen.text + (seen.tail ?? "");

const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 30 }), fc.constantFrom("data: x\n\n", "[DONE]", "\r\n", '"error"'));
const json = fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });
const said: fc.Arbitrary<Said> = fc.record({
  thinking: fc.array(text, { maxLength: 3 }),
  signature: fc.constantFrom("", "c2ln"),
  text: fc.array(text, { maxLength: 4 }),
  tools: fc.array(fc.record({ id: fc.uuid(), name: fc.stringMatching(/^[a-z_]{1,12}$/), input: json, pieces: fc.nat({ max: 5 }) }), {
    maxLength: 3,
  }),
  usage: fc.record({ input: fc.nat(10_000), cached: fc.nat(1_000), written: fc.nat(1_000), output: fc.nat(10_000) }),
});
const content = (one: Said) => ({
  thinking: one.thinking.join(""),
  text: one.text.join(""),
  tools: one.tools.map(({ id, name, input }) => ({ id, name, input: JSON.parse(JSON.stringify(input)) as unknown })),
});
const places = fc.array(fc.nat(5_000), { maxLength: 40 });

describe("a stream handed on in another format", () => {
  it("from Anthropic keeps text, thinking, tools, arguments and usage for OpenAI's clients, wherever it is cut", () => {
    fc.assert(
      fc.property(said, places, (one, at) => {
        const bytes = Buffer.from(messageEvents(one));
        const seen = drain(toChat(true), cut(bytes, at));
        expect(all(seen).replaceAll(/"created":\d+/g, "")).to.equal(
          all(whole(toChat(true), bytes.toString())).replaceAll(/"created":\d+/g, ""),
        );
        const got = assembleChunks(all(seen));
        expect({ thinking: got.thinking, text: got.text, tools: got.tools }).to.deep.equal(content(one));
        expect(got.finish).to.equal(one.tools.length > 0 ? "tool_calls" : "stop");
        const { input, cached, written, output } = one.usage;
        expect(seen.usage).to.include({ input, cachedInput: cached, cacheWrite: written, output });
        expect(got.usage).to.deep.include({ prompt_tokens: input + cached + written, completion_tokens: output });
        if (one.signature !== "" && content(one).thinking !== "")
          expect(got.blocks).to.deep.equal([{ type: "thinking", thinking: content(one).thinking, signature: one.signature }]);
      }),
      { numRuns: 300 },
    );
  });

  it("from OpenAI keeps calls apart whose vendor gives all of them one index, and content in parts", () => {
    const chunk = (delta: object, finish: string | null = null): string =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
    const called = (id: string | undefined, name: string | undefined, args: string, index?: number) =>
      chunk({
        tool_calls: [{ ...(index !== undefined && { index }), ...(id && { id }), function: { ...(name && { name }), arguments: args } }],
      });
    for (const index of [0, undefined]) {
      const bytes =
        chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }] }) +
        chunk({ content: [{ type: "text", text: "so" }] }) +
        called("a", "one", '{"city":', index) +
        called(undefined, undefined, '"A"}', index) +
        called("b", "two", '{"zone":"B"}', index) +
        chunk({}, "tool_calls") +
        "data: [DONE]\n\n";
      const got = assembleMessage(all(whole(toMessages(), bytes)));
      expect(got).to.deep.include({ thinking: "hm", text: "so" });
      expect(got.tools).to.deep.equal([
        { id: "a", name: "one", input: { city: "A" } },
        { id: "b", name: "two", input: { zone: "B" } },
      ]);
    }
  });

  it("from OpenAI keeps text, thinking, tools, arguments and usage for Anthropic's clients, wherever it is cut and however calls interleave", () => {
    fc.assert(
      fc.property(said, places, fc.infiniteStream(fc.nat(2)), (one, at, turns) => {
        const bytes = Buffer.from(chunkEvents(one, turns));
        const seen = drain(toMessages(), cut(bytes, at));
        expect(all(seen)).to.equal(all(whole(toMessages(), bytes.toString())));
        const got = assembleMessage(all(seen));
        expect({ thinking: got.thinking, text: got.text }).to.deep.equal({ thinking: content(one).thinking, text: content(one).text });
        expect(got.tools).to.have.deep.members(content(one).tools);
        expect(got.stopReason).to.equal(one.tools.length > 0 ? "tool_use" : "end_turn");
        const { input, cached, written, output } = one.usage;
        expect(got.usage).to.deep.include({
          input_tokens: input,
          cache_read_input_tokens: cached,
          cache_creation_input_tokens: written,
          output_tokens: output,
        });
      }),
      { numRuns: 300 },
    );
  });

  it("there and back is the same answer", () => {
    fc.assert(
      fc.property(said, (one) => {
        const chunks = all(whole(toChat(true), messageEvents(one)));
        const got = assembleMessage(all(whole(toMessages(), chunks)));
        expect({ thinking: got.thinking, text: got.text, tools: got.tools }).to.deep.equal(content(one));
        expect(got.usage["output_tokens"]).to.equal(one.usage.output);
        expect(got.usage["input_tokens"]).to.equal(one.usage.input);
      }),
      { numRuns: 200 },
    );
  });

  it("never throws and never ends well without its terminal event, whatever the bytes are", () => {
    const one: Said = { thinking: [], signature: "", text: ["a"], tools: [], usage: { input: 1, cached: 0, written: 0, output: 1 } };
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom("data: ", "data: {}\n\n", 'data: {"choices":[{"delta":5}]}\n\n', "\n\n", ": x", "null")
        .map((piece) => Buffer.from(piece)),
      fc.constantFrom(messageEvents(one), chunkEvents(one, [][Symbol.iterator]())).map((events) => Buffer.from(events.slice(0, -15))),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 15 }), (pieces) => {
        for (const stream of [toChat(), toMessages()]) expect(drain(stream, pieces).state).to.equal("failed");
      }),
      { numRuns: 300 },
    );
  });

  const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
  const start = event({ type: "message_start", message: { id: "msg_1", model: "m", usage: { input_tokens: 7, output_tokens: 1 } } });
  const delta = (value: string) => event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: value } });
  const chunk = (fields: object, finish: string | null = null) =>
    event({ id: "c", model: "m", choices: [{ index: 0, delta: fields, finish_reason: finish }] });

  it("holds back what comes before any content", () => {
    const stream = toChat();
    expect(stream.push(Buffer.from(start))).to.equal(undefined);
    expect(assembleChunks(stream.push(Buffer.from(delta("a")))!.toString()).text).to.equal("a");
    const other = toMessages();
    expect(other.push(Buffer.from(chunk({ role: "assistant", content: "" })))).to.equal(undefined);
    expect(other.push(Buffer.from(chunk({ content: "a" })))!.toString()).to.match(/^event: message_start\n/);
  });

  it("fails on an error inside it, in the client's words", () => {
    const overloaded = event({ type: "error", error: { type: "overloaded_error", message: "busy" } });
    const seen = whole(toChat(), start + delta("a") + overloaded);
    expect(seen).to.include({ state: "failed", record: "upstream_error_event", tail: undefined });
    expect(seen.stream.failure).to.include({ status: 503, message: "The provider failed: busy" });
    expect(whole(toMessages(), chunk({ content: "a" }) + event({ error: { message: "x" } }))).to.include({
      record: "upstream_error_event",
    });
    expect(whole(toMessages(), chunk({ content: "a" }, "error"))).to.include({ record: "upstream_error_event" });
    expect(whole(toMessages(), `${chunk({ content: "a" })}{"error":{}}\n\n`)).to.include({ record: "upstream_malformed" });
  });

  it("fails without the terminal event, unless the provider is known to send none", () => {
    expect(whole(toChat(), start + delta("a"))).to.include({ state: "failed", record: "upstream_closed" });
    expect(whole(toMessages(), chunk({ content: "a" }, "stop"))).to.include({ state: "failed", record: "upstream_closed" });
    const lax = whole(toMessages(true), chunk({ content: "a" }, "stop"));
    expect(lax.state).to.equal("done");
    expect(assembleMessage(all(lax))).to.include({ text: "a", stopReason: "end_turn" });
    expect(whole(toMessages(true), chunk({ content: "a" }))).to.include({ state: "failed" });
  });

  it("counts what was handed on, and the prompt as far as the provider has said it", () => {
    const seen = whole(toChat(), start + delta("one two"));
    expect(seen.stream.count(words, { left: 1e6 })).to.deep.equal({
      content: true,
      tokens: 2,
      prompt: { input: 7, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 },
    });
    const call = { tool_calls: [{ index: 0, id: "t", function: { name: "three", arguments: '{"four": "five"}' } }] };
    expect(whole(toMessages(), chunk({ content: "one two" }) + chunk(call)).stream.count(words, { left: 1e6 })).to.include({ tokens: 5 });
  });

  it("shows the usage chunk only to those who ask, and never one that cannot be read", () => {
    const end = (usage: object) =>
      event({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage }) + event({ type: "message_stop" });
    expect(all(whole(toChat(), start + delta("a") + end({ output_tokens: 2 })))).to.not.contain("usage");
    expect(whole(toChat(true), start + delta("a") + end({ output_tokens: 2 })).tail).to.match(
      /"choices":\[\],"usage":\{.*\n\ndata: \[DONE\]\n\n$/,
    );
    const odd = whole(toChat(true), start + delta("a") + end({ output_tokens: "2" }));
    expect(odd).to.include({ state: "done", tail: "data: [DONE]\n\n", usage: undefined });
    expect(odd.stream.unreadableUsage).to.equal(true);
  });

  for (const [reason, finish] of [
    ["end_turn", "stop"],
    ["stop_sequence", "stop"],
    ["pause_turn", "stop"],
    ["max_tokens", "length"],
    ["model_context_window_exceeded", "length"],
    ["tool_use", "tool_calls"],
    ["refusal", "content_filter"],
    ["of_tomorrow", "stop"],
  ]) {
    it(`says ${finish} for ${reason}`, () => {
      const end =
        event({ type: "message_delta", delta: { stop_reason: reason }, usage: { output_tokens: 2 } }) + event({ type: "message_stop" });
      expect(assembleChunks(all(whole(toChat(), start + delta("a") + end))).finish).to.equal(finish);
    });
  }

  for (const [finish, reason] of [
    ["stop", "end_turn"],
    ["length", "max_tokens"],
    ["content_filter", "refusal"],
    ["tool_calls", "tool_use"],
    ["of_tomorrow", "end_turn"],
  ] as const) {
    it(`says ${reason} for ${finish}`, () => {
      const seen = whole(toMessages(), `${chunk({ content: "a" }, finish)}data: [DONE]\n\n`);
      expect(assembleMessage(all(seen)).stopReason).to.equal(reason);
    });
  }

  it("says a refusal as one", () => {
    const seen = whole(toMessages(), `${chunk({ refusal: "no" })}${chunk({}, "stop")}data: [DONE]\n\n`);
    expect(assembleMessage(all(seen))).to.include({ text: "no", stopReason: "refusal" });
  });
});
