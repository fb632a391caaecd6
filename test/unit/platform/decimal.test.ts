import { expect } from "chai";
import fc from "fast-check";
import { formatCredits, parseCredits } from "../../../src/platform/credits.ts";
import { formatDecimal, parseDecimal } from "../../../src/platform/decimal.ts";

describe("amounts as text", () => {
  for (const text of [
    "",
    " 1",
    "1 ",
    "+1",
    "-1",
    "1e3",
    "1,000",
    "1_000",
    ".5",
    "5.",
    "0x10",
    "１",
    "NaN",
    "Infinity",
    "1.0000001",
    "1".repeat(13),
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(parseCredits(text)).to.equal(undefined);
    });
  }

  it("reads 50, 50.0 and 50.00 as the same", () => {
    for (const text of ["50", "50.0", "50.00"]) expect(parseDecimal(text, 2)).to.equal(5_000n);
    expect(parseDecimal("50.001", 2)).to.equal(undefined);
  });

  it("writes 93.5 credits as 93.5 and keeps two places for money", () => {
    expect(formatCredits(93_500_000n)).to.equal("93.5");
    expect(formatDecimal(5_000n, 2, 2)).to.equal("50.00");
    expect(formatCredits(-1n)).to.equal("-0.000001");
    expect(formatDecimal(7n, 0)).to.equal("7");
  });

  it("reads back whatever it writes", () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 17n), 10n ** 17n), (amount) => {
        expect(parseCredits(formatCredits(amount), { signed: true })).to.equal(amount);
      }),
    );
  });
});
