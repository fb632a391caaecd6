import { expect } from "chai";
import fc from "fast-check";
import { MICRO } from "../../../src/platform/credits.ts";
import { decideTier, limitPercent, type Facts, type TierRules } from "../../../src/quotas/tierRules/decide.ts";
import { tierRules } from "../../../src/quotas/tierRules/schema.ts";
import { behaviourScore, type Behaviour } from "../../../src/quotas/tierRules/score.ts";

const RULES: TierRules = {
  enabled: true,
  start_tier: "free",
  cool_down_days: 7,
  limits_follow_score: { full_from: 80, least_percent: 25 },
  levels: [
    { tier: "restricted" },
    { tier: "free", enter: { score: 60 }, stay: { score: 30 } },
    { tier: "standard", enter: { age_days: 7, paid: "50", score: 70 }, stay: { score: 40 } },
    { tier: "pro", enter: { age_days: 30, paid: "500", spent: "100", score: 80 }, stay: { spent: "50", score: 50 } },
  ],
};
const NOW = new Date("2026-11-21T00:00:00Z");
const facts = (more: Partial<Facts> = {}): Facts => ({
  tier: "free",
  ageDays: 10,
  paid: 60n * MICRO,
  spent: 0n,
  score: 100,
  changedAt: null,
  ...more,
});
const behaviour = (more: Partial<Behaviour> = {}): Behaviour => ({
  calls: 0,
  refused: 0,
  rejected: 0,
  failedPayments: 0,
  disputes: 0,
  signInFailures: 0,
  ...more,
});

describe("the behaviour score", () => {
  const cases: [string, Partial<Behaviour>, number][] = [
    ["is 100 for somebody who did nothing", {}, 100],
    ["does not judge by a few calls", { calls: 19, refused: 19 }, 100],
    ["falls by the share of refused calls", { calls: 100, refused: 25 }, 80],
    ["falls by 40 at most for them", { calls: 100, refused: 100 }, 60],
    ["falls by the share of rejected calls", { calls: 100, rejected: 25 }, 90],
    ["falls by 5 for a failed payment, 20 at most", { failedPayments: 9 }, 80],
    ["falls by 25 for a dispute", { disputes: 1 }, 75],
    ["forgives five failed sign-ins", { signInFailures: 5 }, 100],
    ["falls by 2 for each more", { signInFailures: 8 }, 94],
  ];
  for (const [what, of, score] of cases) it(what, () => expect(behaviourScore(behaviour(of))).to.equal(score));

  it("is a whole number from 0 to 100 and never rises with trouble", () => {
    const count = fc.nat(1_000);
    const any = fc.record({ calls: count, refused: count, rejected: count, failedPayments: count, disputes: count, signInFailures: count });
    fc.assert(
      fc.property(any, fc.constantFrom("refused", "rejected", "failedPayments", "disputes", "signInFailures" as const), (of, kind) => {
        const score = behaviourScore(of);
        expect(Number.isInteger(score) && score >= 0 && score <= 100).to.equal(true);
        expect(behaviourScore({ ...of, [kind]: of[kind as keyof Behaviour] + 1 })).to.be.at.most(score);
      }),
    );
  });
});

describe("tier rules", () => {
  it("promote whoever meets all that leads to the next level, one at a time", () => {
    expect(decideTier(RULES, facts({ paid: 10_000n * MICRO, ageDays: 400, spent: 500n * MICRO }), NOW)).to.deep.equal({
      tier: "standard",
      change: "promoted",
      reasons: [
        { rule: "age_days", asked: "7", found: "400", met: true },
        { rule: "paid", asked: "50", found: "10000", met: true },
        { rule: "score", asked: "70", found: "100", met: true },
      ],
    });
  });

  it("keep whoever misses one, and say which", () => {
    const { change, reasons } = decideTier(RULES, facts({ ageDays: 6 }), NOW);
    expect([change, reasons.filter(({ met }) => !met).map(({ rule }) => rule)]).to.deep.equal(["kept", ["age_days"]]);
  });

  it("demote whoever does not meet what keeps the level, with what was missed", () => {
    expect(decideTier(RULES, facts({ tier: "pro", spent: 49n * MICRO }), NOW)).to.deep.equal({
      tier: "standard",
      change: "demoted",
      reasons: [{ rule: "spent", asked: "50", found: "49", met: false }],
    });
    expect(decideTier(RULES, facts({ tier: "restricted", score: 0 }), NOW).change).to.equal("kept");
  });

  it("leave alone a tier that is no level", () => {
    expect(decideTier(RULES, facts({ tier: "partner" }), NOW)).to.deep.equal({ tier: "partner", change: "kept", reasons: [] });
  });

  it("do not promote within the days after a change", () => {
    const changedAt = new Date(NOW.getTime() - 7 * 86_400_000 + 1);
    expect(decideTier(RULES, facts({ changedAt }), NOW).change).to.equal("kept");
    expect(decideTier(RULES, facts({ changedAt: new Date(changedAt.getTime() - 1) }), NOW).change).to.equal("promoted");
  });

  it("never move anybody up and down by the same facts, and come to rest", () => {
    const any = fc.record({
      tier: fc.constantFrom("restricted", "free", "standard", "pro"),
      ageDays: fc.nat(60),
      paid: fc.bigInt({ min: 0n, max: 1_000n * MICRO }),
      spent: fc.bigInt({ min: 0n, max: 200n * MICRO }),
      score: fc.nat(100),
    });
    fc.assert(
      fc.property(any, (of) => {
        const ladder = RULES.levels.map(({ tier }) => tier);
        let tier: string = of.tier;
        const moves: string[] = [];
        for (let day = 0; day < 60; day += 10) {
          const decision = decideTier(RULES, { ...of, tier, changedAt: null }, NOW);
          expect(Math.abs(ladder.indexOf(decision.tier) - ladder.indexOf(tier))).to.be.at.most(1);
          if (decision.change !== "kept") moves.push(decision.change);
          ({ tier } = decision);
        }
        expect(new Set(moves).size).to.be.at.most(1);
        expect(moves.length).to.be.at.most(3);
      }),
    );
  });

  it("shrink rates below a score, in proportion, to a least", () => {
    expect([100, 80, 60, 40, 10, 0].map((score) => limitPercent(RULES, score))).to.deep.equal([100, 100, 75, 50, 25, 25]);
    expect(limitPercent({ limits_follow_score: null }, 0)).to.equal(100);
  });

  it("are refused where staying asks more than coming, or a level is there twice", () => {
    const parse = (levels: unknown) => tierRules.safeParse({ ...RULES, levels }).success;
    expect(parse(RULES.levels)).to.equal(true);
    expect(parse([{ tier: "free" }, { tier: "pro", enter: { score: 50 }, stay: { score: 51 } }])).to.equal(false);
    expect(parse([{ tier: "free" }, { tier: "pro", enter: { score: 50 }, stay: { paid: "1" } }])).to.equal(false);
    expect(parse([{ tier: "free" }, { tier: "free" }])).to.equal(false);
    expect(parse([{ tier: "free", stay: { score: 1 } }])).to.equal(false);
    expect(parse([{ tier: "pro" }])).to.equal(false);
  });
});
