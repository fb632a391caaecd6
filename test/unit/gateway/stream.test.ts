import { expect } from "chai";
import fc from "fast-check";
import { ChatStream, mentionsUsage } from "../../../src/gateway/formats/openai-chat/stream.ts";
import type { Tokenizer } from "../../../src/gateway/tokens/index.ts";

const words: Tokenizer = { ready: Promise.resolve(), count: (text) => text.split(/\s+/).filter(Boolean).length };

const chunk = (content: string, extra: object = {}): string =>
  JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: { content }, finish_reason: null }], ...extra });
const event = (data: string, newline = "\n"): string => `data: ${data}${newline}${newline}`;
const USAGE = { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 };
const usageChunk = JSON.stringify({ id: "c", choices: [], usage: USAGE });

interface Seen {
  text: string;
  state: string;
  record: string | undefined;
  tail: string | undefined;
  usage: unknown;
}

function play(
  pieces: Buffer[],
  options: { showUsage?: boolean; endsWithoutTerminal?: boolean; choices?: number } = {},
): Seen & { stream: ChatStream } {
  const stream = new ChatStream({
    choices: options.choices ?? 1,
    showUsage: options.showUsage ?? false,
    endsWithoutTerminal: options.endsWithoutTerminal ?? false,
  });
  const out: Buffer[] = [];
  for (const piece of pieces) {
    const passed = stream.push(piece);
    if (passed) out.push(Buffer.from(passed));
  }
  const last = stream.end();
  if (last) out.push(Buffer.from(last));
  return {
    stream,
    text: Buffer.concat(out).toString("utf8"),
    state: stream.state,
    record: stream.failure?.record,
    tail: stream.tail?.toString("utf8"),
    usage: stream.usage?.tokens,
  };
}

const whole = (text: string, options?: Parameters<typeof play>[1]) => play([Buffer.from(text)], options);

function cut(bytes: Buffer, at: number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length));
}

describe("a chat stream from a provider", () => {
  it("reads the same wherever it is cut, with either line ending", () => {
    const content = fc.oneof(fc.string({ unit: "grapheme" }), fc.constant('say "usage": 5 and "error"'), fc.constant("\\\n\r"));
    fc.assert(
      fc.property(
        fc.array(content, { maxLength: 8 }),
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.boolean(),
        fc.array(fc.nat(3_000), { maxLength: 40 }),
        (contents, newline, showUsage, places) => {
          const all = [...contents.map((text) => chunk(text, { usage: null })), usageChunk, "[DONE]"]
            .map((data) => event(data, newline))
            .join("");
          const bytes = Buffer.from(all);
          const expected = [...contents.map((text) => chunk(text, { usage: null })), ...(showUsage ? [usageChunk] : [])]
            .map((data) => event(data, newline))
            .join("");
          const seen = play(cut(bytes, places), { showUsage });
          expect(seen.text).to.equal(expected);
          expect(seen.state).to.equal("done");
          expect(seen.usage).to.include({ input: 3, output: 5 });
        },
      ),
      { numRuns: 300 },
    );
  });

  it("never throws and never ends well without its terminal event, whatever the bytes are", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom(
          "data: ",
          "data:{",
          '"usage":',
          '"error":{',
          "\n\n",
          "\r\n\r\n",
          "\r\r",
          "event: error\n",
          "[DON",
          ": x",
          "\ufeff",
          "null",
          "}",
        )
        .map((piece) => Buffer.from(piece)),
      fc.constant(Buffer.from(event(chunk("a")))),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 30 }), (pieces) => {
        expect(play(pieces).state).to.equal("failed");
      }),
      { numRuns: 500 },
    );
  });

  it("survives being fed byte by byte", () => {
    const bytes = Buffer.from(event(chunk("héllo 世界 🙂")) + event("[DONE]"));
    const seen = play([...bytes].map((byte) => Buffer.from([byte])));
    expect(seen.text).to.equal(event(chunk("héllo 世界 🙂")));
    expect(seen.tail).to.equal(event("[DONE]"));
  });

  it("holds back nothing but the end", () => {
    const stream = new ChatStream({ choices: 1, showUsage: false, endsWithoutTerminal: false });
    const first = Buffer.from(event(chunk("a")));
    expect(stream.push(first)).to.equal(first);
    expect(stream.push(Buffer.from('data: {"id"'))).to.equal(undefined);
  });

  it("takes usage out of a content chunk when the client did not ask for it", () => {
    const seen = whole(event(chunk("a", { usage: USAGE })) + event("[DONE]"));
    expect(seen.text).to.equal(event(chunk("a")));
    expect(seen.usage).to.include({ input: 3, output: 5 });
  });

  it("takes the last of several usages", () => {
    const growing = [1, 2, 3].map((n) => event(chunk("a", { usage: { prompt_tokens: 9, completion_tokens: n } }))).join("");
    expect(whole(growing + event("[DONE]")).usage).to.include({ output: 3 });
  });

  it("fails when the provider reports an error inside the stream", () => {
    const seen = whole(event(chunk("a")) + event(JSON.stringify({ error: { message: "boom at http://10.0.0.1/x" } })) + event("[DONE]"));
    expect(seen).to.include({ state: "failed", record: "upstream_error_event", text: event(chunk("a")) });
    expect(seen.stream.failure!.message).to.equal("The provider failed: boom at [address]");
  });

  it("is not misled by the words in the text", () => {
    const seen = whole(event(chunk('"error": "x", "usage": {"prompt_tokens": 1}')) + event("[DONE]"));
    expect(seen).to.include({ state: "done", usage: undefined });
  });

  for (const [name, bad] of [
    ["cut short", '{"id":"c","choices":[{"delta":{"content":"he'],
    ["not JSON", "{broken}"],
    ["a number", "12"],
    ["a list", "[1]"],
  ] as const) {
    it(`fails on an event that is ${name}`, () => {
      expect(whole(event(chunk("a")) + event(bad) + event("[DONE]"))).to.include({ state: "failed", record: "upstream_malformed" });
    });
  }

  it("fails, with no end to hand on, when an event only looks like JSON", () => {
    const bad = '{"id":"x","choices":[{"index":0,"delta":{"content":"a"}]}';
    const seen = whole(event(chunk("a")) + event(bad) + event("[DONE]"));
    expect(seen).to.include({ state: "failed", record: "upstream_malformed", tail: undefined });
    expect(play([event(bad), event("[DONE]")].map((data) => Buffer.from(data)))).to.include({ state: "failed", tail: undefined });
    const finished = JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    expect(whole(event(bad) + event(finished), { endsWithoutTerminal: true })).to.include({ record: "upstream_malformed" });
    const left = new ChatStream({ choices: 1, showUsage: false, endsWithoutTerminal: false });
    left.push(Buffer.from(event(chunk("a")) + event(bad)));
    expect(left.unreadable).to.equal(true);
  });

  it("fails on a line that is no field, and on a finish reason that says error", () => {
    expect(whole(`${event(chunk("a"))}{"error":{"message":"boom"}}\n\n${event("[DONE]")}`)).to.include({ record: "upstream_malformed" });
    const finished = JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "error" }] });
    expect(whole(event(chunk("a")) + event(finished) + event("[DONE]"))).to.include({ record: "upstream_error_event", tail: undefined });
  });

  it("fails without its terminal event, however complete it looks", () => {
    const finished = JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    expect(whole(event(chunk("a")) + event(finished) + event(usageChunk))).to.include({ state: "failed", record: "upstream_closed" });
  });

  it("ends by finish reason where the provider is known to send no terminal event", () => {
    const finished = JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    const options = { endsWithoutTerminal: true };
    expect(whole(event(chunk("a")) + event(finished), options)).to.include({ state: "done", tail: event("[DONE]") });
    expect(whole(event(chunk("a")), options)).to.include({ state: "failed" });
    // Three answers were asked for, and one has come.
    expect(whole(event(chunk("a")) + event(finished), { ...options, choices: 3 })).to.include({ state: "failed" });
    const other = JSON.stringify({ choices: [{ index: 1, delta: { content: "b" }, finish_reason: null }] });
    expect(whole(event(chunk("a")) + event(finished) + event(other), options)).to.include({ state: "failed" });
  });

  it("accepts a terminal event without its blank line", () => {
    expect(whole(`${event(chunk("a"))}data: [DONE]`)).to.include({ state: "done" });
  });

  it("swallows comments before the first event and passes them later", () => {
    const seen = whole(`: hello\n\n${event(chunk("a"))}: again\n\n${event("[DONE]")}`);
    expect(seen.text).to.equal(`${event(chunk("a"))}: again\n\n`);
  });

  it("passes an event of 1 MB and refuses one of more than 8 MB", () => {
    const large = event(chunk("x".repeat(1024 * 1024)));
    expect(whole(large + event("[DONE]"))).to.include({ state: "done", text: large });
    const piece = Buffer.alloc(1024 * 1024, "x");
    const seen = play([Buffer.from('data: {"a":"'), ...Array.from({ length: 9 }, () => piece)]);
    expect(seen).to.include({ state: "failed", record: "upstream_malformed" });
  });

  it("counts text, refusals, tools and reasoning, once each, of every choice", () => {
    const delta = (index: number, fields: object) => event(JSON.stringify({ choices: [{ index, delta: fields, finish_reason: null }] }));
    const seen = whole(
      delta(0, { role: "assistant", content: "" }) +
        delta(0, { content: "one two" }) +
        delta(1, { content: "three" }) +
        delta(0, { content: " four" }) +
        delta(0, { reasoning_content: "five six" }) +
        delta(1, { refusal: "seven" }) +
        delta(0, { tool_calls: [{ index: 0, id: "t", function: { name: "eight", arguments: "" } }] }) +
        delta(0, { tool_calls: [{ index: 0, function: { arguments: " nine" } }] }) +
        event("[DONE]"),
    );
    expect(seen.stream.count(words, { left: 1e6 })).to.deep.equal({ content: true, tokens: 9 });
  });

  it("counts a long stream whole though it keeps little of it", () => {
    const stream = new ChatStream({ choices: 1, showUsage: false, endsWithoutTerminal: false });
    for (let i = 0; i < 2_000; i++) stream.push(Buffer.from(event(chunk("word "))));
    expect(stream.count(words, { left: 1e9 }).tokens).to.equal(2_000);
  });

  it("has no content before the first piece of text", () => {
    const role = event(JSON.stringify({ choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] }));
    expect(whole(role).stream.hasContent()).to.equal(false);
    expect(whole(role + event(chunk("a"))).stream.hasContent()).to.equal(true);
  });

  it("tells a usage that is null from one that is there", () => {
    expect(mentionsUsage('{"usage":null}')).to.equal(false);
    expect(mentionsUsage('{"usage" : null, "x": {"usage": {"a":1}}}')).to.equal(true);
    expect(mentionsUsage("{}")).to.equal(false);
  });
});
