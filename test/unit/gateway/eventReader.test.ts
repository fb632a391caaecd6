import { expect } from "chai";
import fc from "fast-check";
import { EventReader } from "../../../src/gateway/formats/events.ts";
import { ResponseEvents } from "../../../src/gateway/formats/openai-responses/stream.ts";
import type { Tokenizer } from "../../../src/gateway/tokens/index.ts";

const letters: Tokenizer = { ready: Promise.resolve(), count: (text) => text.length };
const event = (type: string, fields: object, end = "\n"): string =>
  `event: ${type}${end}data: ${JSON.stringify({ type, ...fields })}${end}${end}`;
const delta = (text: string, end?: string): string =>
  event("response.output_text.delta", { output_index: 0, content_index: 0, delta: text }, end);
const completed = (end?: string): string =>
  event("response.completed", { response: { id: "resp_1", status: "completed", output: [] } }, end);

function read(chunks: Buffer[]) {
  const reader = new EventReader(new ResponseEvents({ searching: false }));
  const out: Buffer[] = [];
  for (const chunk of chunks) {
    const passed = reader.push(chunk);
    if (passed) out.push(passed);
  }
  const rest = reader.end();
  if (rest) out.push(rest);
  return { reader, out: Buffer.concat(out) };
}

/** The bytes in pieces of these lengths, again and again. */
function cut(bytes: Buffer, lengths: number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const next = at + Math.max(1, lengths[i % lengths.length] ?? 1);
    pieces.push(bytes.subarray(at, next));
    at = next;
  }
  return pieces;
}

describe("a stream of numbered events", () => {
  it("passes byte for byte however it is cut, and is counted the same", () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
    const texts = fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(texts, pieces, fc.constantFrom("\n", "\r\n"), (said, lengths, end) => {
        const body = said.map((text) => delta(text, end)).join("");
        const { reader, out } = read(cut(Buffer.from(body + completed(end)), lengths));
        expect(reader.state).to.equal("done");
        expect(Buffer.concat([out, reader.tail!]).toString()).to.equal(body + completed(end));
        expect(reader.count(letters, { left: 1e9 }).tokens).to.equal(said.join("").length);
      }),
    );
  });

  it("is never taken for complete when it is spoilt, and never throws", () => {
    const whole = Buffer.from(delta("Hello") + delta(" there") + completed());
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 30 }), (at, byte, length) => {
        const spoilt = Buffer.from(whole);
        spoilt[at] = byte;
        const { reader, out } = read(cut(spoilt, [length]));
        expect(reader.state).to.not.equal("open");
        // Whatever passed came from the provider in this order.
        expect(spoilt.includes(out)).to.equal(true);
        if (reader.state === "done") expect(reader.tail!.toString("latin1")).to.match(/response\.(completed|incomplete)/);
      }),
      { numRuns: 500 },
    );
  });

  it("holds back what comes before any content, so that another provider can be asked", () => {
    const reader = new EventReader(new ResponseEvents({ searching: false }));
    expect(reader.push(Buffer.from(": hello\n\n"))).to.equal(undefined);
    expect(reader.push(Buffer.from(event("response.created", {})))).to.equal(undefined);
    expect(reader.push(Buffer.from(": still here\n\n"))).to.equal(undefined);
    expect(reader.push(Buffer.from(delta("Hi")))!.toString()).to.equal(`${event("response.created", {})}: still here\n\n${delta("Hi")}`);
    expect(reader.push(Buffer.from(event("response.failed", { response: { status: "failed" } })))).to.equal(undefined);
    expect(reader.state).to.equal("failed");
  });

  it("with an event of more than 8 MB is malformed", () => {
    const reader = new EventReader(new ResponseEvents({ searching: false }));
    for (let i = 0; i < 9 && reader.state === "open"; i++) reader.push(Buffer.alloc(1024 * 1024, 0x61));
    expect(reader.failure).to.include({ record: "upstream_malformed" });
  });
});
