import { expect } from "chai";
import fc from "fast-check";
import { MessagesStream } from "../../../../src/gateway/formats/anthropic-messages/stream.ts";
import type { Tokenizer } from "../../../../src/gateway/tokens/index.ts";
import { cut, drain } from "../streams.ts";

const words: Tokenizer = { ready: Promise.resolve(), count: (text) => text.split(/\s+/).filter(Boolean).length };

const event = (type: string, fields: object = {}, newline = "\n"): string =>
  `event: ${type}${newline}data: ${JSON.stringify({ type, ...fields })}${newline}${newline}`;
const START_USAGE = { input_tokens: 3, cache_read_input_tokens: 2, cache_creation_input_tokens: null, output_tokens: 1 };
const start = (newline?: string, usage: unknown = START_USAGE) =>
  event("message_start", { message: { id: "msg_1", type: "message", role: "assistant", content: [], usage } }, newline);
const open = (newline?: string) => event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }, newline);
const delta = (text: string, newline?: string) => event("content_block_delta", { index: 0, delta: { type: "text_delta", text } }, newline);
const close = (newline?: string) => event("content_block_stop", { index: 0 }, newline);
const last = (usage: unknown = { output_tokens: 5 }, newline?: string) =>
  event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage }, newline);
const STOP = event("message_stop");

const play = (pieces: Buffer[]) => drain(new MessagesStream(), pieces);
const whole = (text: string) => play([Buffer.from(text)]);

describe("a stream of messages from a provider", () => {
  it("reads the same wherever it is cut, with either line ending", () => {
    const content = fc.oneof(fc.string({ unit: "grapheme" }), fc.constant('"type":"error"'), fc.constant("event: message_stop\n\n"));
    fc.assert(
      fc.property(
        fc.array(content, { maxLength: 8 }),
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.array(fc.nat(3_000), { maxLength: 40 }),
        (contents, newline, places) => {
          const passed = [
            start(newline),
            open(newline),
            ...contents.map((text) => delta(text, newline)),
            close(newline),
            last({ output_tokens: 5 }, newline),
          ].join("");
          const terminal = event("message_stop", {}, newline);
          const seen = play(cut(Buffer.from(passed + terminal), places));
          expect(seen.text).to.equal(passed);
          expect(seen).to.include({ state: "done", tail: terminal });
          expect(seen.usage).to.include({ input: 3, cachedInput: 2, output: 5 });
        },
      ),
      { numRuns: 300 },
    );
  });

  it("never throws and never ends well without its terminal event, whatever the bytes are", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom("data: ", "event: message_stop\n", "event: error\n", "\n\n", "\r\n\r\n", ": x", "\ufeff", "null", "}")
        .map((piece) => Buffer.from(piece)),
      fc.constant(Buffer.from(start())),
      fc.constant(Buffer.from(delta("a"))),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 30 }), (pieces) => {
        expect(play(pieces).state).to.equal("failed");
      }),
      { numRuns: 500 },
    );
  });

  it("holds back what comes before any content, and nothing after it but the end", () => {
    const stream = new MessagesStream();
    expect(stream.push(Buffer.from(start() + event("ping") + open()))).to.equal(undefined);
    expect(stream.push(Buffer.from(delta("a")))!.toString()).to.equal(start() + event("ping") + open() + delta("a"));
    expect(stream.push(Buffer.from(delta("b")))!.toString()).to.equal(delta("b"));
    expect(stream.push(Buffer.from(close() + last() + STOP))!.toString()).to.equal(close() + last());
    expect(stream.tail!.toString()).to.equal(STOP);
  });

  it("is not done before its terminal event, however complete it looks", () => {
    expect(whole(start() + open() + delta("a") + close() + last())).to.include({
      state: "failed",
      record: "upstream_closed",
      tail: undefined,
    });
  });

  it("is corrected by the last usage, and never takes the placeholder for a count", () => {
    const corrected = last({ input_tokens: 30, cache_read_input_tokens: null, output_tokens: 5 });
    expect(whole(start() + open() + delta("a") + close() + last({ output_tokens: 2 }) + corrected + STOP).usage).to.include({
      input: 30,
      cachedInput: 2,
      output: 5,
    });
    const silent = whole(
      start() + open() + delta("one two") + close() + event("message_delta", { delta: { stop_reason: "end_turn" } }) + STOP,
    );
    expect(silent).to.include({ state: "done", usage: undefined });
    expect(silent.stream.count(words, { left: 1e6 })).to.deep.equal({
      content: true,
      tokens: 2,
      units: { searches: 0 },
      prompt: { input: 3, cachedInput: 2, cacheWrite: 0, output: 0, reasoning: 0 },
    });
    const unreadable = whole(start() + open() + delta("a") + last({ output_tokens: "5" }) + STOP);
    expect(unreadable.stream).to.include({ unreadableUsage: true, usage: undefined });
  });

  it("fails when the provider reports an error inside the stream", () => {
    const error = event("error", { error: { type: "overloaded_error", message: "busy at http://10.0.0.1/x" } });
    const seen = whole(start() + open() + delta("a") + error + STOP);
    expect(seen).to.include({ state: "failed", record: "upstream_error_event", text: start() + open() + delta("a"), tail: undefined });
    expect(seen.stream.failure).to.include({ message: "The provider failed: busy at [address]", status: 529 });
    expect(whole(error)).to.include({ state: "failed", text: "" });
  });

  for (const [name, bad, record] of [
    ["not JSON", "event: content_block_delta\ndata: {broken}\n\n", "upstream_malformed"],
    ["a list", "event: ping\ndata: [1]\n\n", "upstream_malformed"],
    [
      "cut short",
      'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"he\n\n',
      "upstream_malformed",
    ],
    [
      "only like JSON",
      'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"he"}\n\n',
      "upstream_malformed",
    ],
    ["a line that is no field", '{"type":"error"}\n\n', "upstream_malformed"],
    ["an error without a name", 'data: {"error":{"message":"x"}}\n\n', "upstream_error_event"],
    [
      "an error in a delta's clothes",
      'event: content_block_delta\ndata: {"type":"content_block_delta","type":"error","delta":{}}\n\n',
      "upstream_malformed",
    ],
  ] as const) {
    it(`fails, with no end to hand on, on an event that is ${name}`, () => {
      expect(whole(start() + open() + delta("a") + bad + STOP)).to.include({ state: "failed", record, tail: undefined });
    });
  }

  it("fails when it ends what it has not begun", () => {
    expect(whole(STOP)).to.include({ state: "failed", record: "upstream_malformed" });
  });

  it("passes events and deltas that it does not know", () => {
    const unknown =
      event("content_block_tomorrow", { x: 1 }) + event("content_block_delta", { index: 0, delta: { type: "new_delta", words: "x y" } });
    const seen = whole(start() + open() + unknown + close() + last() + STOP);
    expect(seen.text).to.equal(start() + open() + unknown + close() + last());
    expect(seen.stream.count(words, { left: 1e6 }).tokens).to.equal(2);
  });

  it("swallows comments before the first event and passes them later", () => {
    const seen = whole(`: hello\n\n${start()}${open()}${delta("a")}: again\n\n${STOP}`);
    expect(seen.text).to.equal(`${start()}${open()}${delta("a")}: again\n\n`);
  });

  it("passes an event of 1 MB and refuses one of more than 8 MB", () => {
    const large = delta("x".repeat(1024 * 1024));
    expect(whole(start() + open() + large + STOP)).to.include({ state: "done", text: start() + open() + large });
    const piece = Buffer.alloc(1024 * 1024, "x");
    expect(play([Buffer.from('data: {"a":"'), ...Array.from({ length: 9 }, () => piece)])).to.include({ record: "upstream_malformed" });
  });

  it("counts text, thinking, tool names and inputs, and no signatures", () => {
    const deltas = (index: number, fields: object) => event("content_block_delta", { index, delta: fields });
    const seen = whole(
      start() +
        deltas(0, { type: "thinking_delta", thinking: "one two" }) +
        deltas(0, { type: "signature_delta", signature: "sig sig sig" }) +
        deltas(1, { type: "text_delta", text: "three" }) +
        event("content_block_start", { index: 2, content_block: { type: "tool_use", id: "t", name: "four", input: {} } }) +
        deltas(2, { type: "input_json_delta", partial_json: '{"city": ' }) +
        deltas(2, { type: "input_json_delta", partial_json: '"Paris"}' }) +
        STOP,
    );
    expect(seen.stream.count(words, { left: 1e6 })).to.include({ content: true, tokens: 6 });
  });

  it("counts the searches it has begun", () => {
    const search = event("content_block_start", {
      index: 0,
      content_block: { type: "server_tool_use", id: "s", name: "web_search", input: {} },
    });
    expect(whole(start() + search + search + STOP).stream.count(words, { left: 1e6 }).units).to.deep.equal({ searches: 2 });
  });

  it("counts a long stream whole though it keeps little of it", () => {
    const stream = new MessagesStream();
    stream.push(Buffer.from(start() + open()));
    for (let i = 0; i < 2_000; i++) stream.push(Buffer.from(delta("word ")));
    expect(stream.count(words, { left: 1e9 }).tokens).to.equal(2_000);
  });
});
