import { expect } from "chai";
import fc from "fast-check";
import { frameCost, frameParts, PRIORITIES, type RenderRates } from "../../../src/render/prices/price.ts";

const RATES: RenderRates = { perFrame: 10_000n, perMegasample: 100n, perSecond: 10_000n, percent: { low: 80, normal: 100, high: 150 } };
const WORK = { width: 1_000, height: 1_000, samples: 10, seconds: 2, priority: "normal" } as const;

describe("the price of a frame", () => {
  it("is for the frame, its samples and its time, times the factor of its priority", () => {
    expect(frameCost(RATES, WORK)).to.equal(31_000n);
    expect(frameCost(RATES, { ...WORK, priority: "low" })).to.equal(24_800n);
    expect(frameCost(RATES, { ...WORK, priority: "high" })).to.equal(46_500n);
    expect(frameParts(RATES, WORK)).to.deep.equal({ frame: 10_000n, samples: 1_000n, time: 20_000n });
  });

  it("is rounded up once: one pixel more than a whole costs one micro-credit", () => {
    const samples = { ...WORK, samples: 1, seconds: 0 };
    expect(frameCost(RATES, { ...samples, width: 10_000, height: 1 })).to.equal(10_001n);
    expect(frameCost(RATES, { ...samples, width: 10_001, height: 1 })).to.equal(10_002n);
  });

  it("never falls when anything of it grows, and is at least the sum of its parts less their rounding", () => {
    const size = fc.integer({ min: 1, max: 20_000 });
    fc.assert(
      fc.property(
        size,
        size,
        fc.integer({ min: 1, max: 4_096 }),
        fc.float({ min: 0, max: 1e5, noNaN: true }),
        fc.constantFrom(...PRIORITIES),
        (width, height, samples, seconds, priority) => {
          const work = { width, height, samples, seconds, priority };
          const cost = frameCost(RATES, work);
          expect(frameCost(RATES, { ...work, width: width + 1 }) >= cost).to.equal(true);
          expect(frameCost(RATES, { ...work, samples: samples + 1 }) >= cost).to.equal(true);
          expect(frameCost(RATES, { ...work, seconds: seconds + 1 }) > cost).to.equal(true);
          const { frame, samples: bySamples, time } = frameParts(RATES, work);
          const whole = frameCost(RATES, { ...work, priority: "normal" });
          expect(whole <= frame + bySamples + time && whole >= frame + bySamples + time - 2n).to.equal(true);
        },
      ),
    );
  });

  it("never comes to less than nothing, whatever a renderer says it took", () => {
    expect(frameCost(RATES, { ...WORK, seconds: -5 })).to.equal(frameCost(RATES, { ...WORK, seconds: 0 }));
  });
});
