import { expect } from "chai";
import fc from "fast-check";
import { multiplierFor } from "../../../src/pricing/index.ts";
import { inWindow, localTime, type MultiplierRule, type TimeWindow } from "../../../src/pricing/multipliers/multiplier.ts";

const rule = (multiplier: number, more: Partial<MultiplierRule> = {}): MultiplierRule => ({
  multiplier,
  tier: null,
  keyGroup: null,
  model: null,
  window: null,
  ...more,
});
const NOON = new Date("2026-11-04T12:00:00Z");
const who = { tier: "pro", keyGroup: "batch", model: "m", at: NOON };
const shanghai = (fromMinute: number, toMinute: number, days: number[] | null = null): TimeWindow => ({
  timeZone: "Asia/Shanghai",
  fromMinute,
  toMinute,
  days,
});

describe("what a price is multiplied by", () => {
  it("is one while no rule matches", () => {
    expect(multiplierFor([], who)).to.equal(1_000_000);
    const others = [
      rule(0, { tier: "free" }),
      rule(0, { keyGroup: "live" }),
      rule(0, { model: "n" }),
      rule(0, { window: shanghai(0, 60) }),
    ];
    expect(multiplierFor(others, who)).to.equal(1_000_000);
  });

  it("is that of a rule whose conditions all hold", () => {
    expect(multiplierFor([rule(800_000, { tier: "pro", model: "m" })], who)).to.equal(800_000);
    expect(multiplierFor([rule(800_000, { tier: "pro", model: "n" })], who)).to.equal(1_000_000);
    expect(multiplierFor([rule(500_000, { keyGroup: "batch" })], { ...who, keyGroup: null })).to.equal(1_000_000);
  });

  it("is the product of all rules that match, exact to a millionth", () => {
    expect(multiplierFor([rule(800_000), rule(900_000, { tier: "pro" }), rule(3_000_000, { tier: "free" })], who)).to.equal(720_000);
    expect(multiplierFor([rule(0), rule(10_000_000)], who)).to.equal(0);
    expect(multiplierFor([rule(333_333), rule(333_333), rule(333_333)], who)).to.equal(37_037);
    expect(multiplierFor([rule(10_000_000), rule(10_000_000), rule(10_000_000)], who), "never above a hundredfold").to.equal(100_000_000);
  });

  it("does not depend on the order of the rules, and a rule of one changes nothing", () => {
    const multipliers = fc.array(fc.integer({ min: 0, max: 10_000_000 }), { maxLength: 6 });
    fc.assert(
      fc.property(multipliers, (given) => {
        const rules = given.map((multiplier) => rule(multiplier));
        expect(multiplierFor(rules, who)).to.equal(multiplierFor([...rules].reverse(), who));
        expect(multiplierFor([...rules, rule(1_000_000)], who)).to.equal(multiplierFor(rules, who));
      }),
    );
  });
});

describe("a window of the day", () => {
  const at = (text: string) => new Date(text);

  it("is told in its time zone, also when the clocks change", () => {
    expect(localTime("Asia/Shanghai", at("2026-11-03T16:30:00Z"))).to.deep.equal({ day: 3, minute: 30 });
    expect(localTime("Europe/Berlin", at("2026-10-25T00:30:00Z"))).to.deep.equal({ day: 7, minute: 150 });
    expect(localTime("Europe/Berlin", at("2026-10-25T01:30:00Z"))).to.deep.equal({ day: 7, minute: 150 });
    expect(localTime("Asia/Kathmandu", at("2026-11-02T18:15:00Z"))).to.deep.equal({ day: 2, minute: 0 });
  });

  const table: [string, TimeWindow, string, boolean][] = [
    ["begins with its first minute", shanghai(540, 600), "2026-11-04T01:00:00Z", true],
    ["ends before its last", shanghai(540, 600), "2026-11-04T02:00:00Z", false],
    ["runs over midnight, before", shanghai(1_320, 360), "2026-11-04T14:00:00Z", true],
    ["runs over midnight, after", shanghai(1_320, 360), "2026-11-04T21:59:59Z", true],
    ["runs over midnight, not at noon", shanghai(1_320, 360), "2026-11-04T04:00:00Z", false],
    ["of the whole day holds always", shanghai(0, 0), "2026-11-04T04:00:00Z", true],
    ["of Wednesdays holds on Wednesday", shanghai(540, 600, [3]), "2026-11-04T01:30:00Z", true],
    ["of Wednesdays does not hold on Thursday", shanghai(540, 600, [3]), "2026-11-05T01:30:00Z", false],
    ["of Wednesday night holds early on Thursday", shanghai(1_320, 360, [3]), "2026-11-04T18:00:00Z", true],
    ["of Wednesday night does not hold early on Wednesday", shanghai(1_320, 360, [3]), "2026-11-03T18:00:00Z", false],
    ["of Sunday night holds early on Monday", shanghai(1_320, 360, [7]), "2026-11-08T18:00:00Z", true],
  ];
  for (const [what, window, time, holds] of table) {
    it(what, () => expect(inWindow(window, at(time))).to.equal(holds));
  }
});
