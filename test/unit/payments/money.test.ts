import { expect } from "chai";
import fc from "fast-check";
import { creditsFor, formatMoney, parseBonusTiers, parseMoney } from "../../../src/payments/money.ts";
import { newOrderNo, ORDER_NO } from "../../../src/payments/orderNo.ts";

const RATE = 10_000_000n;

describe("amounts of money", () => {
  it("are equal with and without decimals", () => {
    for (const text of ["50", "50.0", "50.00"]) expect(parseMoney(text)).to.equal(5000n);
    expect(parseMoney("0.01")).to.equal(1n);
    expect(parseMoney("999999999.99")).to.equal(99_999_999_999n);
  });

  it("are refused in every other form", () => {
    for (const text of [
      "",
      " 50",
      "50 ",
      "+50",
      "-50",
      "50.",
      ".5",
      "50.001",
      "5e1",
      "1,000",
      "５０",
      "0x10",
      "NaN",
      "1000000000",
      "50\n",
      "50.00\u0000",
    ]) {
      expect(parseMoney(text), JSON.stringify(text)).to.equal(undefined);
    }
  });

  it("survive being written and read", () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 99_999_999_999n }), (fen) => parseMoney(formatMoney(fen)) === fen));
  });

  it("buy credits at the rate, with the bonus of the highest tier they reach", () => {
    const tiers = parseBonusTiers(["500:10", "100:5"]);
    expect(creditsFor(5000n, RATE, tiers)).to.deep.equal({ base: 500_000_000n, bonus: 0n });
    expect(creditsFor(9999n, RATE, tiers).bonus).to.equal(0n);
    expect(creditsFor(10_000n, RATE, tiers).bonus).to.equal(50_000_000n);
    expect(creditsFor(50_000n, RATE, tiers)).to.deep.equal({ base: 5_000_000_000n, bonus: 500_000_000n });
    expect(creditsFor(1n, 1n, [])).to.deep.equal({ base: 0n, bonus: 0n });
  });

  it("name the bonus tier that cannot be read", () => {
    for (const entry of ["100", "100:", ":5", "100:5:1", "100:-5", "a:5", "100:5%"]) {
      expect(() => parseBonusTiers([entry]), entry).to.throw(`TOPUP_BONUS_TIERS: "${entry}"`);
    }
  });
});

describe("order numbers", () => {
  it("fit every provider and do not repeat", () => {
    const numbers = Array.from({ length: 1_000 }, () => newOrderNo(new Date("2026-11-21T10:00:00Z")));
    for (const number of numbers)
      expect(number)
        .to.match(ORDER_NO)
        .and.to.match(/^TK20261121[0-9A-Z]{14}$/);
    expect(new Set(numbers).size).to.equal(1_000);
  });
});
