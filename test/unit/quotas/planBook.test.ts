import { expect } from "chai";
import type { Terms } from "../../../src/quotas/calendar.ts";
import { hasQuotas, quotaBudgets, weightsAt, type QuotaSource } from "../../../src/quotas/counters.ts";
import { partsAt, type PlanBook, type PlanVersion } from "../../../src/quotas/planBook.ts";

const ms = (time: string) => Date.parse(time);
const version = (plan: string, n: number, more: Partial<PlanVersion> = {}): PlanVersion => ({
  plan,
  version: n,
  allowance: 0n,
  limits: {},
  weights: {},
  resetDay: 1,
  timeZone: "UTC",
  takesEffect: "next_period",
  createdMs: ms("2026-01-01T00:00Z"),
  ...more,
});
const terms = (...list: [string, string][]): Terms[] =>
  list.map(([from, plan]) => ({ fromMs: ms(from), plan, resetDay: 1, timeZone: "UTC" }));
const book = (...versions: PlanVersion[]): PlanBook => {
  const names = [...new Set(["free", ...versions.map(({ plan }) => plan)])];
  const all = [version("free", 1), ...versions];
  return {
    standard: terms(["1970-01-01T00:00Z", "free"]).map((one) => ({ ...one, no: 1n })),
    versions: new Map(names.map((name) => [name, all.filter(({ plan }) => plan === name)])),
  };
};
const source = (of: PlanBook, list: Terms[], limits: Partial<QuotaSource["limits"]> = {}): QuotaSource => ({
  userId: "u",
  keyId: "k",
  terms: list,
  book: of,
  weights: {},
  limits: { tier: {}, own: {}, key: {}, ...limits },
});
const limitsAt = (of: QuotaSource, time: string) =>
  quotaBudgets(of, ms(time)).budgets.map(({ id, period, limit }) => [id, period, Number(limit)]);

describe("quotas of a plan", () => {
  const grown = (takesEffect: "now" | "next_period") =>
    book(
      version("pro", 1, { limits: { quota_requests: 100 } }),
      version("pro", 2, { limits: { quota_requests: 400 }, takesEffect, createdMs: ms("2026-11-16T00:00Z") }),
    );
  const subscribed = terms(["2026-10-01T00:00Z", "pro"]);

  it("a change that takes effect at once counts by the shares of the period, whole from the next", () => {
    const of = source(grown("now"), subscribed);
    expect(limitsAt(of, "2026-11-15T23:59:59.999Z")).to.deep.equal([["user:u", "qr:2026-12-01T00:00Z", 10_000]]);
    expect(limitsAt(of, "2026-11-16T00:00Z")).to.deep.equal([["user:u", "qr:2026-12-01T00:00Z", 25_000]]);
    expect(limitsAt(of, "2026-12-01T00:00Z")).to.deep.equal([["user:u", "qr:2027-01-01T00:00Z", 40_000]]);
  });

  it("one for the next period counts from there, on every copy at the same moment", () => {
    const of = source(grown("next_period"), subscribed);
    expect(limitsAt(of, "2026-11-30T23:59:59.999Z")).to.deep.equal([["user:u", "qr:2026-12-01T00:00Z", 10_000]]);
    expect(limitsAt(of, "2026-12-01T00:00Z")).to.deep.equal([["user:u", "qr:2027-01-01T00:00Z", 40_000]]);
    expect(quotaBudgets(of, ms("2026-11-20T00:00Z")).untilMs).to.equal(ms("2026-12-01T00:00Z"));
  });

  it("a change of plan in mid-period is two parts, and the counter goes on", () => {
    const plans = book(version("small", 1, { limits: { quota_tokens: 300 } }), version("large", 1, { limits: { quota_tokens: 3_000 } }));
    const of = source(plans, terms(["2026-11-01T00:00Z", "small"], ["2026-11-21T00:00Z", "large"]));
    expect(partsAt(plans, of.terms, ms("2026-11-25T00:00Z")).map(({ version: { plan } }) => plan)).to.deep.equal(["small", "large"]);
    expect(limitsAt(of, "2026-11-20T00:00Z")).to.deep.equal([["user:u", "qt:2026-12-01T00:00Z", 30_000]]);
    expect(limitsAt(of, "2026-11-21T00:00Z")).to.deep.equal([["user:u", "qt:2026-12-01T00:00Z", 120_000]]);
  });

  it("whoever comes to a plan in mid-period has it as it is then, also what its subscribers get with their next period", () => {
    const plans = grown("next_period");
    const joined = source(plans, terms(["2026-11-01T00:00Z", "free"], ["2026-11-21T00:00Z", "pro"]));
    expect(limitsAt(joined, "2026-11-21T00:00Z")).to.deep.equal([["user:u", "qr:2026-12-01T00:00Z", 40_000]]);
    expect(limitsAt(source(plans, subscribed), "2026-11-21T00:00Z")).to.deep.equal([["user:u", "qr:2026-12-01T00:00Z", 10_000]]);
  });

  it("several changes in one period, there and back, are as many parts", () => {
    const plans = book(version("small", 1, { limits: { quota_tokens: 300 } }), version("large", 1, { limits: { quota_tokens: 3_000 } }));
    const of = source(
      plans,
      terms(["2026-11-01T00:00Z", "small"], ["2026-11-07T00:00Z", "large"], ["2026-11-10T00:00Z", "small"], ["2026-11-28T00:00Z", "large"]),
    );
    expect(limitsAt(of, "2026-11-15T00:00Z")).to.deep.equal([["user:u", "qt:2026-12-01T00:00Z", 57_000]]);
    expect(limitsAt(of, "2026-11-30T00:00Z")).to.deep.equal([["user:u", "qt:2026-12-01T00:00Z", 84_000]]);
  });

  it("of a period that another reset day cut short everything is its share, the first period of a subscription is whole", () => {
    const of = source(
      book(version("pro", 1, { limits: { quota_requests: 300 } })),
      [
        { fromMs: ms("2026-10-21T00:00Z"), plan: "pro", resetDay: 1, timeZone: "UTC" },
        { fromMs: ms("2026-12-01T00:00Z"), plan: "pro", resetDay: 11, timeZone: "UTC" },
      ],
      { own: { quota_tokens: 30 }, key: { quota_requests: 30 } },
    );
    expect(limitsAt(of, "2026-10-25T00:00Z").map(([, , limit]) => limit)).to.deep.equal([3_000, 30_000, 3_000]);
    expect(limitsAt(of, "2026-12-05T00:00Z")).to.deep.equal([
      ["key:k", "qr:2026-12-11T00:00Z", 1_000],
      ["user:u", "qr:2026-12-11T00:00Z", 10_000],
      ["user:u", "qt:2026-12-11T00:00Z", 1_000],
    ]);
    expect(limitsAt(of, "2026-12-11T00:00Z").map(([, , limit]) => limit)).to.deep.equal([3_000, 30_000, 3_000]);
  });

  it("a key's stand beside, the account's own go before plan and tier, unit by unit", () => {
    const of = source(grown("now"), subscribed, {
      tier: { quota_requests: 1, quota_tokens: 7 },
      own: { quota_credits: "2.5" },
      key: { quota_requests: 10 },
    });
    expect(limitsAt(of, "2026-11-10T00:00Z")).to.deep.equal([
      ["key:k", "qr:2026-12-01T00:00Z", 1_000],
      ["user:u", "qr:2026-12-01T00:00Z", 10_000],
      ["user:u", "qt:2026-12-01T00:00Z", 700],
      ["user:u", "qc:2026-12-01T00:00Z", 2_500_000],
    ]);
  });

  it("a model weighs what the plan says, else what the tier says", () => {
    const plans = book(version("pro", 1, { limits: { quota_requests: 1 }, weights: { heavy: 300 } }));
    const of = { ...source(plans, subscribed), weights: { heavy: 200, light: 50 } };
    expect(weightsAt(of, ms("2026-11-10T00:00Z"))).to.deep.equal({ heavy: 300, light: 50 });
    expect(quotaBudgets(of, ms("2026-11-10T00:00Z")).budgets[0]!.weights).to.deep.equal({ heavy: 300, light: 50 });
  });

  it("whoever has none is not looked at", () => {
    const plans = book();
    expect(hasQuotas(source(plans, [...plans.standard]))).to.equal(false);
    expect(hasQuotas(source(grown("now"), subscribed))).to.equal(true);
    expect(hasQuotas(source(plans, [...plans.standard], { key: { quota_tokens: 1 } }))).to.equal(true);
  });
});
