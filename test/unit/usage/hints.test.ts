import { expect } from "chai";
import { routesServed } from "../../../src/gateway/formats/served.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import type { PricedModel } from "../../../src/pricing/index.ts";
import { unusedCacheHints } from "../../../src/usage/reports/hints/cache.ts";
import { cheaperModelHints } from "../../../src/usage/reports/hints/cheaper.ts";
import type { Mix, Repeated } from "../../../src/usage/reports/hints/facts.ts";
import { readable } from "../../../src/usage/reports/hints/hint.ts";
import { brokenCallHints, expiringCreditHints, largeHoldHints } from "../../../src/usage/reports/hints/others.ts";

const ONE = 1_000_000;

function model(name: string, input: number, output: number, more: Partial<PricedModel> & { cached?: number } = {}): PricedModel {
  const { cached, ...rest } = more;
  return {
    name,
    aliases: [],
    displayName: null,
    modality: "text",
    contextLength: null,
    maxOutputTokens: null,
    status: "active",
    createdAt: new Date(0),
    updatedAt: new Date(0),
    safetyPercent: null,
    rules: [],
    price: {
      id: 1n,
      model: name,
      version: 1,
      inputPrice: BigInt(input) * MICRO,
      outputPrice: BigInt(output) * MICRO,
      cachedInputPrice: cached === undefined ? null : BigInt(cached) * MICRO,
      cacheWritePrice: null,
      cacheWriteLongPrice: null,
      reasoningPrice: null,
      requestPrice: 0n,
      imagePrice: 0n,
      secondPrice: 0n,
      characterPrice: 0n,
      searchPrice: 0n,
    },
    ...rest,
  } as PricedModel;
}
const book = (...models: PricedModel[]) => new Map(models.map((each) => [each.name, each]));
const CHAT = "/v1/chat/completions";
const at = (names: string[], ...routes: string[]) => new Map(names.map((name) => [name, new Set(routes)]));
const all = (...models: PricedModel[]) =>
  at(
    models.map(({ name }) => name),
    CHAT,
    "/v1/messages",
  );

describe("hints", () => {
  describe("of a cache that is not used", () => {
    const repeated: Repeated = {
      model: "m",
      multiplier: ONE,
      calls: 40,
      input: 1_000_000,
      cached: 50_000,
      repeated: 710_000,
      missed: 620_000,
    };
    const m = model("m", 30, 60, { cached: 10 });

    it("say what cached input would save", () => {
      const [hint] = unusedCacheHints([repeated], book(m));
      // 620 000 tokens at 20 credits less per 1000.
      expect(hint).to.include({ kind: "unused_cache", model: "m", amount: 12_400n * MICRO, per: "30_days" });
      expect(hint!.reason).to.contain("At least 71 % of the input of m").and.to.contain("5 % was read").and.to.contain("12400 credits");
      expect(hint!.facts).to.deep.equal({ repeated_percent: 71, cached_percent: 5, missed_tokens: 620_000 });
    });

    it("count each multiplier by itself", () => {
      const half = { ...repeated, multiplier: ONE / 2 };
      expect(unusedCacheHints([repeated, half], book(m))[0]!.amount).to.equal(18_600n * MICRO);
    });

    it("are silent where there is nothing to gain", () => {
      expect(unusedCacheHints([repeated], book(model("m", 30, 60)))).to.deep.equal([]);
      expect(unusedCacheHints([repeated], book(model("m", 30, 60, { cached: 30 })))).to.deep.equal([]);
      expect(unusedCacheHints([repeated], book(model("other", 30, 60, { cached: 1 })))).to.deep.equal([]);
      expect(unusedCacheHints([{ ...repeated, repeated: 99_999 }], book(m))).to.deep.equal([]);
      expect(unusedCacheHints([{ ...repeated, missed: 49 }], book(m))).to.deep.equal([]);
      expect(unusedCacheHints([{ ...repeated, calls: 9 }], book(m))).to.deep.equal([]);
    });
  });

  describe("of a cheaper model", () => {
    const tokens = { input: 100_000, cachedInput: 0, cacheWrite: 0, cacheWriteLong: 0, output: 20_000, reasoning: 0 };
    // 100 × 30 + 20 × 60 = 4200 credits.
    const mix: Mix = {
      model: "big",
      multiplier: ONE,
      short: true,
      routes: [CHAT],
      calls: 300,
      tokens,
      longestInput: 4_000,
      longestOutput: 200,
      cost: 4_200n * MICRO,
    };
    const big = model("big", 30, 60);
    const small = model("small", 10, 20);
    const smaller = model("smaller", 5, 10);

    it("name the cheapest that can be called, at the tokens that were used", () => {
      const [hint] = cheaperModelHints([mix], book(big, small, smaller), all(big, small));
      expect(hint).to.include({ kind: "cheaper_model", model: "big", amount: 2_800n * MICRO });
      expect(hint!.facts).to.deep.equal({ calls: 300, paid: "4200", other_model: "small", other_cost: "1400" });
      expect(hint!.reason).to.contain("small would cost 2800 less");
    });

    it("leave out other kinds of models, short contexts, models without a price and long answers", () => {
      const others = [
        model("image", 1, 1, { modality: "image" }),
        model("narrow", 1, 1, { contextLength: 4_199 }),
        model("unpriced", 1, 1, { price: null }),
      ];
      expect(cheaperModelHints([mix], book(big, ...others), all(...others))).to.deep.equal([]);
      expect(cheaperModelHints([{ ...mix, short: false }], book(big, small), all(small))).to.deep.equal([]);
      expect(cheaperModelHints([mix], book(big, model("wide", 1, 1, { contextLength: 4_200 })), at(["wide"], CHAT))).to.have.length(1);
    });

    it("leave out what cannot be called where the calls were made, on every route that they came by", () => {
      const offered = (...routes: string[]) => cheaperModelHints([mix], book(big, small), at(["small"], ...routes));
      expect(offered(CHAT, "/v1/messages")).to.have.length(1);
      expect(offered("/dify/v1/chat-messages")).to.deep.equal([]);
      expect(offered()).to.deep.equal([]);
      const both = [mix, { ...mix, routes: ["/v1/responses"] }];
      expect(cheaperModelHints(both, book(big, small), at(["small"], CHAT))).to.deep.equal([]);
      expect(cheaperModelHints(both, book(big, small), at(["small"], CHAT, "/v1/responses"))).to.have.length(1);
    });

    it("know where a model can be called from what its providers speak, and compare no Dify app", () => {
      const [openai, claude, dify] = (["openai", "claude", "dify"] as const).map((speaks) => routesServed([speaks]));
      expect([...openai!]).to.include.members([CHAT, "/v1/messages", "/v1/responses", "/v1/embeddings"]);
      expect([...claude!]).to.include.members([CHAT, "/v1/messages"]);
      expect([...claude!]).to.not.include("/v1/responses");
      expect([...dify!]).to.deep.equal([]);
      expect([...routesServed(["dify", "claude"])]).to.have.members([...claude!]);
      expect([...openai!].filter((route) => route.startsWith("/dify"))).to.deep.equal([]);
    });

    it("are silent below a tenth", () => {
      expect(cheaperModelHints([mix], book(big, model("close", 28, 56)), at(["close"], CHAT))).to.deep.equal([]);
      expect(cheaperModelHints([{ ...mix, calls: 9 }], book(big, small), all(small))).to.deep.equal([]);
    });
  });

  it("of a max_tokens that is never used say what each call keeps from others", () => {
    const calls = Array.from({ length: 20 }, (_, n) => ({ id: `c${n}`, model: "m", cost: 2n * MICRO, output: n * 10 }));
    const held = new Map(calls.map(({ id }) => [id, 62_500_000n]));
    const [hint] = largeHoldHints(calls, held);
    expect(hint).to.include({ kind: "large_max_tokens", amount: 60_500_000n, per: "call", model: "m" });
    expect(hint!.facts).to.deep.equal({ calls: 20, held: "62.5", cost: "2", longest_answer: 190 });
    expect(largeHoldHints(calls, new Map(calls.map(({ id }) => [id, 9n * MICRO])))).to.deep.equal([]);
    expect(largeHoldHints(calls.slice(0, 9), held)).to.deep.equal([]);
    expect(largeHoldHints(calls, new Map())).to.deep.equal([]);
  });

  it("of calls that broke off name what they cost", () => {
    expect(brokenCallHints({ calls: 7, cost: 8_100_000n })[0]).to.include({ kind: "broken_calls", amount: 8_100_000n });
    expect(brokenCallHints({ calls: 7, cost: 999_999n })).to.deep.equal([]);
  });

  describe("of credit that expires", () => {
    const now = new Date("2026-11-20T00:00:00Z");
    const inDays = (days: number) => new Date(now.getTime() + days * 86_400_000);
    const credit = (amount: number, expiresAt: Date | null) => ({ source: "bonus" as const, amount: BigInt(amount) * MICRO, expiresAt });

    it("name what would be left at the present pace, in the order in which credit burns", () => {
      // 3 a day: after 10 days 30 are spent, the first 20 of them from the grant before.
      const hints = expiringCreditHints([credit(20, null), credit(40, inDays(10))], 3n * MICRO, now);
      expect(hints).to.have.length(1);
      expect(hints[0]).to.include({ kind: "expiring_credit", amount: 30n * MICRO, per: "once" });
      expect(hints[0]!.facts).to.deep.equal({ source: "bonus", credits: "40", expires_on: "2026-11-30", daily: "3" });
    });

    it("are silent about what will be used, has expired, or has time", () => {
      expect(expiringCreditHints([credit(29, inDays(10))], 3n * MICRO, now)).to.deep.equal([]);
      expect(expiringCreditHints([credit(500, inDays(-1)), credit(500, inDays(31)), credit(500, null)], 0n, now)).to.deep.equal([]);
    });
  });

  it("show amounts to a hundredth", () => {
    expect([0n, 4_999n, 5_000n, 12_400_000n, 1_999_999n].map(readable)).to.deep.equal(["0", "0", "0.01", "12.4", "2"]);
  });
});
