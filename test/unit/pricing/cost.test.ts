import { expect } from "chai";
import fc from "fast-check";
import { affordableOutput, cost, estimate, type Prices, type TokenClasses } from "../../../src/pricing/index.ts";
import { costParts, partSum } from "../../../src/pricing/price.ts";
import { parseCredits } from "../../../src/platform/credits.ts";

const credits = (text: string) => parseCredits(text)!;
const NO_TOKENS: Required<TokenClasses> = { input: 0, cachedInput: 0, cacheWrite: 0, cacheWriteLong: 0, output: 0, reasoning: 0 };
const PLAIN: Prices = {
  inputPrice: credits("30"),
  outputPrice: credits("60"),
  cachedInputPrice: null,
  cacheWritePrice: null,
  cacheWriteLongPrice: null,
  reasoningPrice: null,
  requestPrice: 0n,
  imagePrice: 0n,
  secondPrice: 0n,
  characterPrice: 0n,
  searchPrice: 0n,
};

const anyPrice = fc.bigInt(0n, 100_000_000_000n);
const anyPrices: fc.Arbitrary<Prices> = fc.record({
  inputPrice: anyPrice,
  outputPrice: anyPrice,
  cachedInputPrice: fc.option(anyPrice),
  cacheWritePrice: fc.option(anyPrice),
  cacheWriteLongPrice: fc.option(anyPrice),
  reasoningPrice: fc.option(anyPrice),
  requestPrice: anyPrice,
  imagePrice: anyPrice,
  secondPrice: anyPrice,
  characterPrice: anyPrice,
  searchPrice: anyPrice,
});
const anyCount = fc.nat(2_000_000_000);
const anyTokens: fc.Arbitrary<Required<TokenClasses>> = fc.record({
  input: anyCount,
  cachedInput: anyCount,
  cacheWrite: anyCount,
  cacheWriteLong: anyCount,
  output: anyCount,
  reasoning: anyCount,
});
const anyUnits = fc.record({ requests: anyCount, images: anyCount, seconds: anyCount, characters: anyCount, searches: anyCount });
/** In millionths, up to a hundredfold. */
const anyMultiplier = fc.nat(100_000_000);

/** A fraction added up term by term with a common denominator, the long way round. */
class Fraction {
  readonly top: bigint;
  readonly bottom: bigint;

  constructor(top: bigint, bottom = 1n) {
    this.top = top;
    this.bottom = bottom;
  }

  plus(other: Fraction): Fraction {
    return new Fraction(this.top * other.bottom + other.top * this.bottom, this.bottom * other.bottom);
  }

  roundedUp(): bigint {
    const whole = this.top / this.bottom;
    return whole * this.bottom === this.top ? whole : whole + 1n;
  }
}

describe("the cost of a call", () => {
  it("is exactly 93 credits for 1500 and 800 tokens at 30 and 60 per 1000", () => {
    expect(cost(PLAIN, { ...NO_TOKENS, input: 1_500, output: 800 })).to.equal(credits("93"));
  });

  const table: [string, Partial<Prices>, Partial<TokenClasses>, string][] = [
    ["nothing for nothing", {}, {}, "0"],
    ["one token at 30 per 1000", {}, { input: 1 }, "0.03"],
    ["the smallest part of a credit, rounded up", { inputPrice: 1n }, { input: 1 }, "0.000001"],
    ["rounded up once, not for each class", { inputPrice: 1n, outputPrice: 1n }, { input: 500, output: 500 }, "0.000001"],
    ["one above a whole, rounded up", { inputPrice: 1n }, { input: 1_001 }, "0.000002"],
    ["cached input as input when it has no price", {}, { cachedInput: 1_000 }, "30"],
    ["cached input at its own price", { cachedInputPrice: credits("3") }, { cachedInput: 1_000 }, "3"],
    ["cached input free on purpose", { cachedInputPrice: 0n }, { cachedInput: 1_000 }, "0"],
    ["cache write as input when it has no price", {}, { cacheWrite: 1_000 }, "30"],
    ["cache write at its own price", { cacheWritePrice: credits("37.5") }, { cacheWrite: 1_000 }, "37.5"],
    ["a cache write for an hour as a cache write when it has no price", { cacheWritePrice: 37n }, { cacheWriteLong: 1_000 }, "0.000037"],
    ["a cache write for an hour as input when neither has a price", {}, { cacheWriteLong: 1_000 }, "30"],
    ["a cache write for an hour at its own price", { cacheWriteLongPrice: credits("60") }, { cacheWriteLong: 1_000 }, "60"],
    ["reasoning as output when it has no price", {}, { reasoning: 1_000 }, "60"],
    ["reasoning at its own price", { reasoningPrice: credits("90") }, { reasoning: 1_000 }, "90"],
    ["one request, without being told", { requestPrice: credits("0.5") }, {}, "0.5"],
    ["a model that is free on purpose", { inputPrice: 0n, outputPrice: 0n }, { input: 10_000, output: 10_000 }, "0"],
  ];
  for (const [what, prices, tokens, expected] of table) {
    it(`is ${expected}: ${what}`, () => {
      expect(cost({ ...PLAIN, ...prices }, { ...NO_TOKENS, ...tokens })).to.equal(credits(expected));
    });
  }

  it("counts requests, images, seconds, characters and searches by the piece", () => {
    const prices = {
      ...PLAIN,
      requestPrice: credits("1"),
      imagePrice: credits("20"),
      secondPrice: credits("0.3"),
      characterPrice: credits("0.0015"),
      searchPrice: credits("10"),
    };
    expect(cost(prices, NO_TOKENS, { images: 2, seconds: 10, characters: 1_000 })).to.equal(credits("45.5"));
    expect(cost(prices, NO_TOKENS, { searches: 3 })).to.equal(credits("31"));
    expect(cost(prices, NO_TOKENS, { requests: 0, images: 1 })).to.equal(credits("20"));
  });

  it("is multiplied before it is rounded", () => {
    expect(cost(PLAIN, { ...NO_TOKENS, input: 1_500, output: 800 }, {}, 800_000)).to.equal(credits("74.4"));
    expect(cost({ ...PLAIN, inputPrice: 1n }, { ...NO_TOKENS, input: 1_500 }, {}, 500_000)).to.equal(1n);
    expect(cost(PLAIN, { ...NO_TOKENS, input: 1_500 }, {}, 0)).to.equal(0n);
  });

  it("is what rational arithmetic says, rounded up", () => {
    fc.assert(
      fc.property(anyPrices, anyTokens, anyUnits, anyMultiplier, (prices, tokens, units, multiplier) => {
        const per1000 = (count: number, price: bigint) => new Fraction(BigInt(count) * price * BigInt(multiplier), 1_000_000_000n);
        const each = (count: number, price: bigint) => new Fraction(BigInt(count) * price * BigInt(multiplier), 1_000_000n);
        const sum = [
          per1000(tokens.input, prices.inputPrice),
          per1000(tokens.cachedInput, prices.cachedInputPrice ?? prices.inputPrice),
          per1000(tokens.cacheWrite, prices.cacheWritePrice ?? prices.inputPrice),
          per1000(tokens.cacheWriteLong, prices.cacheWriteLongPrice ?? prices.cacheWritePrice ?? prices.inputPrice),
          per1000(tokens.output, prices.outputPrice),
          per1000(tokens.reasoning, prices.reasoningPrice ?? prices.outputPrice),
          each(units.requests, prices.requestPrice),
          each(units.images, prices.imagePrice),
          each(units.seconds, prices.secondPrice),
          each(units.characters, prices.characterPrice),
          each(units.searches, prices.searchPrice),
        ].reduce((total, part) => total.plus(part), new Fraction(0n));
        expect(cost(prices, tokens, units, multiplier)).to.equal(sum.roundedUp());
      }),
    );
  });

  it("never falls when a count or a price rises", () => {
    fc.assert(
      fc.property(
        anyPrices,
        anyTokens,
        fc.constantFrom(...(Object.keys(NO_TOKENS) as (keyof typeof NO_TOKENS)[])),
        fc.nat(10_000),
        (prices, tokens, name, more) => {
          const before = cost(prices, tokens);
          expect(cost(prices, { ...tokens, [name]: tokens[name] + more }) >= before).to.equal(true);
          expect(cost({ ...prices, inputPrice: prices.inputPrice + BigInt(more) }, tokens) >= before).to.equal(true);
        },
      ),
    );
  });

  it("of two calls together is never more than of both apart", () => {
    fc.assert(
      fc.property(anyPrices, anyTokens, anyTokens, (prices, a, b) => {
        const names = Object.keys(NO_TOKENS) as (keyof typeof NO_TOKENS)[];
        const both = Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as TokenClasses;
        const apart = cost(prices, a, { requests: 0 }) + cost(prices, b, { requests: 0 });
        const together = cost(prices, both, { requests: 0 });
        expect(together <= apart && together >= apart - 1n).to.equal(true);
      }),
    );
  });

  it("cannot be computed from counts that are negative or not whole", () => {
    for (const input of [-1, 1.5, NaN, Infinity]) expect(() => cost(PLAIN, { ...NO_TOKENS, input })).to.throw(RangeError);
  });
});

describe("the lines of a cost", () => {
  it("add up to the cost, whatever the prices and counts", () => {
    const count = fc.nat(1_000_000);
    const tokens = fc.record({
      input: count,
      cachedInput: count,
      cacheWrite: count,
      cacheWriteLong: count,
      output: count,
      reasoning: count,
    });
    const units = fc.record({ requests: count, images: count, seconds: count, characters: count, searches: count });
    fc.assert(
      fc.property(anyPrices, tokens, units, (price, of, also) => {
        const sum = costParts(price, of, also).reduce((total, part) => total + partSum(part), 0n);
        expect((sum + 999n) / 1_000n).to.equal(cost(price, of, also));
      }),
    );
  });
});

describe("what is held before a call", () => {
  it("covers the input with a margin and all the output", () => {
    expect(estimate(PLAIN, { inputTokens: 1_000, maxOutputTokens: 1_000 })).to.equal(credits("93"));
    expect(estimate(PLAIN, { inputTokens: 1_000, maxOutputTokens: 1_000, safetyPercent: 100 })).to.equal(credits("90"));
  });

  it("is never less than the cost, however the tokens fall into classes", () => {
    fc.assert(
      fc.property(anyPrices, anyTokens, fc.integer({ min: 100, max: 200 }), anyMultiplier, (prices, tokens, safetyPercent, multiplier) => {
        const inputTokens = tokens.input + tokens.cachedInput + tokens.cacheWrite + tokens.cacheWriteLong;
        const maxOutputTokens = tokens.output + tokens.reasoning;
        const held = estimate(prices, { inputTokens, maxOutputTokens, safetyPercent, multiplier });
        expect(held >= cost(prices, tokens, {}, multiplier)).to.equal(true);
      }),
    );
  });

  it("lowers the output to the most that a given amount covers", () => {
    expect(affordableOutput(PLAIN, { inputTokens: 1_000, safetyPercent: 100 }, credits("90"))).to.equal(1_000);
    expect(affordableOutput(PLAIN, { inputTokens: 1_000, safetyPercent: 100 }, credits("29.999999"))).to.equal(-1);
    expect(affordableOutput({ ...PLAIN, outputPrice: 0n }, { inputTokens: 0 }, 0n)).to.equal(Infinity);
    fc.assert(
      fc.property(anyPrices, anyCount, fc.bigInt(0n, 10n ** 18n), anyMultiplier, (prices, inputTokens, amount, multiplier) => {
        const most = affordableOutput(prices, { inputTokens, multiplier }, amount);
        if (most === Infinity) return;
        if (most >= 0 && Number.isSafeInteger(most))
          expect(estimate(prices, { inputTokens, maxOutputTokens: most, multiplier }) <= amount).to.equal(true);
        if (Number.isSafeInteger(most + 1)) {
          expect(estimate(prices, { inputTokens, maxOutputTokens: most + 1, multiplier }) > amount || most === -1).to.equal(true);
        }
      }),
    );
  });
});
