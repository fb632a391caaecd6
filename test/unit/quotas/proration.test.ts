import { expect } from "chai";
import fc from "fast-check";
import { prorate as prorateOf, type Part } from "../../../src/quotas/proration.ts";

describe("a limit that changed in mid-period", () => {
  const part = (fromMs: number, untilMs: number, amount: bigint | undefined): Part => ({ fromMs, untilMs, amount });

  const prorate = (parts: readonly Part[], wholeMs = parts.at(-1)!.untilMs - parts[0]!.fromMs) => prorateOf(parts, wholeMs);

  it("counts each amount by its share, rounded up once", () => {
    expect(prorate([part(0, 10, 100n), part(10, 30, 400n)])).to.equal(300n);
    expect(prorate([part(0, 1, 1n), part(1, 3, 2n)])).to.equal(2n);
    expect(prorate([part(0, 1, 10n), part(1, 2, 0n), part(2, 3, 0n)])).to.equal(4n);
  });

  it("is none when there is none at the end, and whole when there was none before", () => {
    expect(prorate([part(0, 10, 100n), part(10, 30, undefined)])).to.equal(undefined);
    expect(prorate([part(0, 29, undefined), part(29, 30, 400n)])).to.equal(400n);
  });

  it("of a period that is shorter than a whole one is its share", () => {
    expect(prorate([part(0, 10, 100n)], 30)).to.equal(34n);
    expect(prorate([part(0, 5, 100n), part(5, 10, 400n)], 20)).to.equal(125n);
    expect(prorate([part(0, 10, undefined)], 30)).to.equal(undefined);
  });

  it("lies between the least and the most, and never below its exact share", () => {
    const parts = fc
      .array(fc.record({ length: fc.integer({ min: 1, max: 2_678_400_000 }), amount: fc.bigInt({ min: 0n, max: 10n ** 18n }) }), {
        minLength: 1,
        maxLength: 6,
      })
      .map((list) => {
        let from = 0;
        return list.map(({ length, amount }) => part(from, (from += length), amount));
      });
    fc.assert(
      fc.property(parts, (list) => {
        const amounts = list.map(({ amount }) => amount!);
        const result = prorate(list)!;
        const whole = BigInt(list.at(-1)!.untilMs);
        const exact = list.reduce((sum, { fromMs, untilMs, amount }) => sum + amount! * BigInt(untilMs - fromMs), 0n);
        expect(result * whole >= exact && (result - 1n) * whole < exact).to.equal(true);
        expect(amounts.some((amount) => amount <= result) && amounts.some((amount) => amount >= result)).to.equal(true);
      }),
    );
  });
});
