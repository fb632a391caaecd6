import { expect } from "chai";
import fc from "fast-check";
import { readUsage } from "../../../src/gateway/formats/openai-chat/usage.ts";

const sum = (tokens: Record<string, number>): number => Object.values(tokens).reduce((a, b) => a + b, 0);

describe("OpenAI's usage as disjoint classes", () => {
  it("adds up to the vendor's total whenever it is consistent", () => {
    const counts = fc.tuple(fc.nat(1e6), fc.nat(1e6), fc.nat(1e6), fc.nat(1e6), fc.nat(1e6));
    fc.assert(
      fc.property(counts, ([plain, cached, written, output, reasoning]) => {
        const prompt = plain + cached + written;
        const completion = output + reasoning;
        const usage = readUsage({
          prompt_tokens: prompt,
          completion_tokens: completion,
          total_tokens: prompt + completion,
          prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
          completion_tokens_details: { reasoning_tokens: reasoning },
        })!;
        expect(usage.tokens).to.deep.equal({ input: plain, cachedInput: cached, cacheWrite: written, output, reasoning });
        expect(sum({ ...usage.tokens })).to.equal(prompt + completion);
        expect(usage.notes).to.deep.equal([]);
      }),
    );
  });

  it("takes an explicit zero for a number", () => {
    expect(readUsage({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })!.tokens).to.include({ input: 0, output: 0 });
  });

  it("clamps a class that would be negative and says so", () => {
    const usage = readUsage({
      prompt_tokens: 5,
      completion_tokens: 2,
      prompt_tokens_details: { cached_tokens: 9 },
      completion_tokens_details: { reasoning_tokens: 3 },
    })!;
    expect(usage.tokens).to.deep.equal({ input: 0, cachedInput: 5, cacheWrite: 0, output: 0, reasoning: 2 });
    expect(usage.notes).to.deep.equal(["input would be -4", "output would be -1"]);
  });

  it("believes the parts when the total disagrees, and says so", () => {
    const usage = readUsage({ prompt_tokens: 5, completion_tokens: 2, total_tokens: 70 })!;
    expect(usage.tokens).to.include({ input: 5, output: 2 });
    expect(usage.notes).to.have.length(1);
  });

  it("takes missing details and null for nothing said", () => {
    expect(
      readUsage({
        prompt_tokens: 5,
        completion_tokens: 2,
        prompt_tokens_details: null,
        completion_tokens_details: { reasoning_tokens: null },
      })!.tokens,
    ).to.include({ input: 5, output: 2 });
  });

  for (const [name, value] of Object.entries({
    "text for a number": { prompt_tokens: "5", completion_tokens: 2 },
    "a fraction": { prompt_tokens: 5.5, completion_tokens: 2 },
    "more than 2^31": { prompt_tokens: 2 ** 31, completion_tokens: 2 },
    "a broken detail": { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: { cached_tokens: "1" } },
    "no counts": {},
    "a list": [1],
    text: "5",
  })) {
    it(`cannot be read when it is ${name}`, () => expect(readUsage(value)).to.equal(undefined));
  }
});
