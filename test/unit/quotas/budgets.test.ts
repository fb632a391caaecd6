import { expect } from "chai";
import { budgetsAt, spendLimits } from "../../../src/quotas/index.ts";

describe("spend limits", () => {
  const at = (time: string) => Date.parse(time);

  it("become budgets of the present day and month, narrowest first, amounts in micro-credits", () => {
    const spend = spendLimits(
      [
        { id: "key:k", limits: { spend_total: "12.5", spend_daily: "1", max_parallel: 3 } },
        { id: "user:u", limits: { spend_monthly: "0.000001" } },
      ],
      { timeZone: "Asia/Shanghai" },
    )!;
    expect(budgetsAt(spend, at("2026-11-21T15:59:59.999Z"))).to.deep.equal([
      { id: "key:k", period: "total", limit: 12_500_000n, since: new Date(0) },
      { id: "key:k", period: "d:2026-11-21", limit: 1_000_000n, since: new Date("2026-11-20T16:00:00Z") },
      { id: "user:u", period: "m:2026-11", limit: 1n, since: new Date("2026-10-31T16:00:00Z") },
    ]);
  });

  it("are none without spend limits", () => {
    expect(spendLimits([{ id: "key:k", limits: { requests_per_minute: 5 } }], { timeZone: "UTC" })).to.equal(null);
  });

  it("are prepared once and kept while the period lasts", () => {
    const spend = spendLimits([{ id: "key:k", limits: { spend_daily: "1" } }], { timeZone: "UTC" })!;
    const first = budgetsAt(spend, at("2026-11-21T10:00:00Z"));
    expect(budgetsAt(spend, at("2026-11-21T10:14:59Z"))).to.equal(first);
    expect(budgetsAt(spend, at("2026-11-22T00:00:00Z"))[0]!.period).to.equal("d:2026-11-22");
    expect(budgetsAt(spend, at("2026-11-21T23:59:59Z"))[0]!.period).to.equal("d:2026-11-21");
  });

  const midnights: [string, string, string, string][] = [
    ["Asia/Shanghai", "2026-12-31T15:59:59.999Z", "d:2026-12-31", "m:2026-12"],
    ["Asia/Shanghai", "2026-12-31T16:00:00Z", "d:2027-01-01", "m:2027-01"],
    ["Asia/Kathmandu", "2026-11-20T18:14:59Z", "d:2026-11-20", "m:2026-11"],
    ["Asia/Kathmandu", "2026-11-20T18:15:00Z", "d:2026-11-21", "m:2026-11"],
    ["Pacific/Kiritimati", "2026-02-28T10:00:00Z", "d:2026-03-01", "m:2026-03"],
    ["Pacific/Pago_Pago", "2026-03-01T10:59:59Z", "d:2026-02-28", "m:2026-02"],
    // Clocks go forward at midnight: the day begins at one o'clock.
    ["Africa/Cairo", "2026-04-23T21:59:59Z", "d:2026-04-23", "m:2026-04"],
    ["Africa/Cairo", "2026-04-23T22:00:00Z", "d:2026-04-24", "m:2026-04"],
    ["UTC", "2028-02-29T23:59:59Z", "d:2028-02-29", "m:2028-02"],
  ];
  for (const [zone, time, day, month] of midnights) {
    it(`in ${zone} it is ${day} at ${time}`, () => {
      const spend = spendLimits([{ id: "user:u", limits: { spend_daily: "1", spend_monthly: "1" } }], { timeZone: zone })!;
      const budgets = budgetsAt(spend, at(time));
      expect(budgets.map((budget) => budget.period)).to.deep.equal([day, month]);
      for (const { since } of budgets) {
        // The instant before a period began lay in another one.
        const before = budgetsAt({ ...spend, present: undefined }, since!.getTime() - 1).map((budget) => budget.period);
        const then = budgetsAt({ ...spend, present: undefined }, since!.getTime()).map((budget) => budget.period);
        const which = budgets.findIndex((budget) => budget.since === since);
        expect(then[which]).to.equal(budgets[which]!.period);
        expect(before[which]).to.not.equal(budgets[which]!.period);
      }
    });
  }
});
