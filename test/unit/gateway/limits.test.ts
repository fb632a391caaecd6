import { expect } from "chai";
import fc from "fast-check";
import { formatReset } from "../../../src/gateway/limits/headers.ts";
import { createLocalLimiter } from "../../../src/gateway/limits/local.ts";
import type { CallLimits } from "../../../src/gateway/limits/types.ts";

const limits = (fields: Partial<CallLimits>): CallLimits => ({
  userId: "u",
  keyId: "k",
  userPerMinute: undefined,
  keyPerMinute: undefined,
  userParallel: undefined,
  keyParallel: undefined,
  ...fields,
});

describe("requests a minute", () => {
  it("a fresh caller gets exactly the limit in any burst of less than a minute", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(59_999), { minLength: 60, maxLength: 120 }),
        fc.nat(1e9),
        (limit, offsets, start) => {
          const limiter = createLocalLimiter();
          const times = offsets.sort((a, b) => a - b).map((offset) => start + offset - offsets[0]!);
          const allowed = times.filter((time) => limiter.admit(limits({ userPerMinute: limit }), undefined, time).allowed);
          expect(allowed).to.have.length(limit);
        },
      ),
    );
  });

  it("is allowed again after the time it was told to wait, and not a second before", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(fc.nat(20_000), { minLength: 80, maxLength: 80 }), (limit, gaps) => {
        const limiter = createLocalLimiter();
        let time = 0;
        for (const gap of gaps) {
          time += gap;
          const verdict = limiter.admit(limits({ userPerMinute: limit }), undefined, time);
          if (verdict.allowed) continue;
          if (verdict.retryMs > 1_000)
            expect(limiter.admit(limits({ userPerMinute: limit }), undefined, time + verdict.retryMs - 1_000).allowed).to.equal(false);
          time += verdict.retryMs;
          expect(limiter.admit(limits({ userPerMinute: limit }), undefined, time).allowed).to.equal(true);
        }
      }),
    );
  });

  it("the tighter of user and key decides, and a refused request counts nowhere", () => {
    const limiter = createLocalLimiter();
    const both = limits({ userPerMinute: 5, keyPerMinute: 2 });
    expect(limiter.admit(both, undefined, 0)).to.deep.include({ allowed: true, rate: { limit: 2, remaining: 1, resetMs: 60_000 } });
    limiter.admit(both, undefined, 0);
    expect(limiter.admit(both, undefined, 0)).to.include({ allowed: false, scope: "key" });
    const other = { ...both, keyId: "k2" };
    expect([0, 0, 0].map(() => limiter.admit({ ...other, keyPerMinute: undefined }, undefined, 0).allowed)).to.deep.equal([
      true,
      true,
      true,
    ]);
    expect(limiter.admit({ ...other, keyPerMinute: undefined }, undefined, 0)).to.include({ allowed: false, scope: "user" });
  });
});

describe("parallel calls", () => {
  it("never run more at once than allowed, and each end makes room", () => {
    const limiter = createLocalLimiter();
    const two = limits({ userParallel: 2 });
    const first = limiter.admit(two, "a", 0);
    limiter.admit(two, "b", 0);
    expect(limiter.admit(two, "c", 0)).to.include({ allowed: false, reason: "parallel", scope: "user" });
    if (first.allowed) limiter.release(first.permit!);
    expect(limiter.admit(two, "c", 0).allowed).to.equal(true);
  });
});

describe("reset times", () => {
  for (const [ms, text] of [
    [0, "0ms"],
    [12, "12ms"],
    [1_000, "1s"],
    [1_500, "1.5s"],
    [60_000, "1m0s"],
    [360_000, "6m0s"],
    [3_600_000, "1h0m0s"],
  ] as const) {
    it(`${ms} ms is written ${text}`, () => expect(formatReset(ms)).to.equal(text));
  }
});
