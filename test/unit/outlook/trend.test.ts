import { expect } from "chai";
import fc from "fast-check";
import { hoursLeft, trendOf, type Sample } from "../../../src/outlook/trend.ts";

const MINUTES = 300_000;
const series = (...values: number[]): Sample[] => values.map((value, n) => ({ atMs: n * MINUTES, value }));

describe("the trend of a figure", () => {
  it("is its slope an hour, and how much of the past agrees", () => {
    expect(trendOf(series(0, 1, 2, 3, 4))).to.deep.equal({ perHour: 12, steadiness: 1 });
    expect(trendOf(series(4, 3, 2, 1, 0))).to.deep.equal({ perHour: -12, steadiness: 1 });
    expect(trendOf(series(5, 5, 5))).to.deep.equal({ perHour: 0, steadiness: 0 });
    expect(trendOf(series(5))).to.equal(undefined);
    expect(trendOf([])).to.equal(undefined);
  });

  it("is not moved by single peaks, and not steady where it goes up and down", () => {
    const peak = trendOf(series(0, 1, 2, 900, 4, 5, 6, 7))!;
    expect(peak.perHour).to.be.closeTo(12, 0.001);
    expect(peak.steadiness).to.be.above(0.7);
    expect(trendOf(series(1, 9, 1, 9, 1, 9, 1, 9))!.steadiness).to.be.below(0.5);
  });

  it("of any straight line is that line, however many samples there are", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 800 }), fc.integer({ min: -1_000, max: 1_000 }), (count, step) => {
        const trend = trendOf(series(...Array.from({ length: count }, (_, n) => n * step)))!;
        expect(trend.perHour).to.be.closeTo(step * 12, 1e-6);
        expect(trend.steadiness).to.equal(step === 0 ? 0 : 1);
      }),
      { numRuns: 30 },
    );
  });
});

describe("the time to a limit", () => {
  it("is what is left at that speed; none for what goes the other way, nothing for what is beyond it", () => {
    expect(hoursLeft(100, 400, true, 12)).to.equal(25);
    expect(hoursLeft(100, 400, true, -12)).to.equal(undefined);
    expect(hoursLeft(100, 400, true, 0)).to.equal(undefined);
    expect(hoursLeft(100, 40, false, -12)).to.equal(5);
    expect(hoursLeft(100, 40, false, 12)).to.equal(undefined);
    expect(hoursLeft(400, 400, true, -1)).to.equal(0);
    expect(hoursLeft(39, 40, false, 1)).to.equal(0);
  });
});
