import { expect } from "chai";
import { readUsage, StreamedUsage } from "../../../../src/gateway/formats/anthropic-messages/usage.ts";

describe("Anthropic's usage as disjoint classes", () => {
  it("keeps the vendor's classes, which are disjoint already", () => {
    const usage = readUsage({
      input_tokens: 10,
      cache_read_input_tokens: 20,
      cache_creation_input_tokens: 30,
      cache_creation: { ephemeral_5m_input_tokens: 25, ephemeral_1h_input_tokens: 5 },
      output_tokens: 40,
      output_tokens_details: { thinking_tokens: 7 },
    })!;
    expect(usage.tokens).to.deep.equal({ input: 10, cachedInput: 20, cacheWrite: 25, cacheWriteLong: 5, output: 40, reasoning: 0 });
    expect(usage.notes).to.deep.equal([]);
  });

  it("takes null for nothing said, and an explicit zero for a number", () => {
    const usage = readUsage({ input_tokens: 0, cache_read_input_tokens: null, cache_creation: null, output_tokens: 0 })!;
    expect(usage.tokens).to.deep.equal({ input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 });
  });

  it("is corrected by what comes later, unless that is null, and never takes the placeholder for a count", () => {
    const streamed = new StreamedUsage();
    streamed.start({ input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 });
    expect(streamed.usage).to.equal(undefined);
    expect(streamed.prompt).to.include({ input: 10, cachedInput: 5, output: 0 });
    streamed.add({ output_tokens: null, input_tokens: 11 });
    expect(streamed).to.include({ usage: undefined, unreadable: false });
    streamed.add({ input_tokens: 12, cache_read_input_tokens: null, output_tokens: 3 });
    expect(streamed.usage!.tokens).to.include({ input: 12, cachedInput: 5, output: 3 });
    streamed.add({ output_tokens: "3" });
    expect(streamed).to.include({ usage: undefined, unreadable: true });
  });

  it("clamps what is negative or more than its whole, and says so", () => {
    const usage = readUsage({
      input_tokens: -3,
      cache_creation_input_tokens: 2,
      cache_creation: { ephemeral_1h_input_tokens: 9 },
      output_tokens: -1,
    })!;
    expect(usage.tokens).to.deep.equal({ input: 0, cachedInput: 0, cacheWrite: 0, cacheWriteLong: 2, output: 0, reasoning: 0 });
    expect(usage.notes).to.deep.equal(["input would be -3", "output would be -1"]);
  });

  it("counts searches, and notes tools that ran at the vendor without a price", () => {
    const used = { input_tokens: 1, output_tokens: 1, server_tool_use: { web_search_requests: 2, web_fetch_requests: 3 } };
    expect(readUsage(used)).to.deep.include({ units: { searches: 2 }, notes: ["web_fetch_requests 3 has no price"] });
  });

  for (const [name, value] of Object.entries({
    "text for a number": { input_tokens: "5", output_tokens: 2 },
    "a fraction": { input_tokens: 5.5, output_tokens: 2 },
    "more than 2^31": { input_tokens: 2 ** 31, output_tokens: 2 },
    "a broken class": { input_tokens: 5, output_tokens: 2, cache_read_input_tokens: "1" },
    "no output": { input_tokens: 5 },
    "no counts": {},
  })) {
    it(`cannot be read when it is ${name}`, () => expect(readUsage(value)).to.equal(undefined));
  }
});
