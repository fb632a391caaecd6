import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { planRig, type PlanRig } from "./planRig.ts";
import { runAll } from "./rig.ts";

const DAY_MS = 86_400_000;

describe("plans that change", () => {
  let rig: PlanRig;
  before(async () => (rig = await planRig()));
  afterEach(async () => expect((await rig.ledger.verify()).differences).to.deep.equal([]));
  after(() => rig.close());

  it("another reset day and zone of the standard plan count from the next period: it begins where the present one ends", async () => {
    await rig.change("free", { allowance: 31n * MICRO, standard: true, reset_day: 1, time_zone: "Asia/Shanghai" });
    rig.set("2034-02-28T16:00:00Z");
    const ada = await rig.person(rig.clock.at);
    rig.set("2034-03-10T00:00:00Z");
    await runAll(rig);
    await rig.change("free", { reset_day: 20, time_zone: "UTC", change_takes_effect: "now" });
    await runAll(rig);
    expect((await rig.subscriptions.of(ada.userId)).period.untilMs).to.equal(Date.parse("2034-03-31T16:00Z"));
    rig.set("2034-05-01T00:00:00Z");
    await runAll(rig);
    expect(await rig.shown(ada.userId)).to.deep.equal([
      ["2034-02-28T16:00", "2034-03-31T16:00", 31],
      // A part of the month from the 20th of March on: its share.
      ["2034-03-31T16:00", "2034-04-20T00:00", 19.333334],
      ["2034-04-20T00:00", "2034-05-20T00:00", 31],
    ]);
  });

  it("another standard plan counts now or with the next period, as it says, and what it was is not forgotten", async () => {
    await rig.change("free", { reset_day: 1, time_zone: "UTC", allowance: 0n, change_takes_effect: "next_period" });
    rig.set("2034-07-01T00:00:00Z");
    await rig.change("basic", { allowance: 300n * MICRO, reset_day: 1, time_zone: "UTC", change_takes_effect: "now" });
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    rig.set("2034-09-01T00:00:00Z");
    await runAll(rig);
    rig.set("2034-09-16T00:00:00Z");
    await rig.change("basic", { standard: true });
    await Promise.all([runAll(rig), runAll(rig.another())]);
    expect((await rig.shown(ada.userId)).at(-1)).to.deep.equal(["2034-09-01T00:00", "2034-10-01T00:00", 150]);
    // There and back in one period: nothing is granted twice, and the time in between counts.
    rig.set("2034-09-22T00:00:00Z");
    await rig.change("free", { standard: true, change_takes_effect: "now" });
    rig.set("2034-09-28T00:00:00Z");
    await rig.change("basic", { standard: true });
    await runAll(rig);
    expect((await rig.shown(ada.userId)).at(-1)![2]).to.equal(150);
    await rig.change("free", { standard: true, change_takes_effect: "next_period" });
    rig.set("2034-10-02T00:00:00Z");
    await runAll(rig);
    expect((await rig.shown(ada.userId)).slice(-2)).to.deep.equal([
      ["2034-09-01T00:00", "2034-10-01T00:00", 150],
      ["2034-10-01T00:00", "2034-11-01T00:00", 0],
    ]);
  });

  it("a standard plan that came and went between two runs is granted for its time", async () => {
    rig.set("2035-01-01T00:00:00Z");
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    rig.set("2035-01-11T00:00:00Z");
    await rig.change("basic", { standard: true, change_takes_effect: "now", allowance: 310n * MICRO });
    rig.set("2035-01-21T00:00:00Z");
    await rig.change("free", { standard: true, change_takes_effect: "now" });
    await runAll(rig);
    expect(await rig.shown(ada.userId)).to.deep.equal([["2035-01-01T00:00", "2035-02-01T00:00", 100]]);
  });

  it("a standard plan that comes or goes while a run is under way counts for its time", async () => {
    rig.set("2035-03-01T00:00:00Z");
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    // The run looks at its clock, then the change is made, then the run reads what there is.
    rig.set("2035-03-11T00:00:00Z");
    await rig.change("basic", { standard: true, change_takes_effect: "now", allowance: 310n * MICRO });
    rig.set("2035-03-21T00:00:00.001Z");
    await rig.change("free", { standard: true, change_takes_effect: "now" });
    rig.set("2035-03-21T00:00:00Z");
    await runAll(rig);
    const late = await rig.person(rig.clock.at);
    await runAll(rig);
    expect((await rig.shown(ada.userId))[0]![2]).to.equal(100.000001);
    rig.set("2035-03-21T00:00:01Z");
    await rig.change("basic", { standard: true });
    rig.set("2035-03-31T00:00:00Z");
    await runAll(rig);
    for (const { userId } of [ada, late]) {
      const { rows } = await rig.pool.query("SELECT plan FROM subscription_periods WHERE user_id = $1", [userId]);
      expect(rows).to.deep.equal([{ plan: "basic" }]);
    }
    rig.set("2035-03-31T00:00:01Z");
    await rig.change("free", { standard: true });
  });

  it("a plan that somebody takes while a run is about to open his period is granted with it", async () => {
    await rig.change("pro", { allowance: 620n * MICRO, reset_day: 1, time_zone: "UTC", change_takes_effect: "now" });
    const ada = await rig.person(new Date("2035-04-01T00:00:00Z"));
    rig.set("2035-04-16T00:00:00.001Z");
    await rig.subscribe(ada.userId, "pro");
    rig.set("2035-04-16T00:00:00Z");
    await runAll(rig);
    expect(await rig.shown(ada.userId)).to.deep.equal([["2035-04-01T00:00", "2035-05-01T00:00", 310]]);
  });

  it("whoever leaves the standard plan keeps the period he is in, and gets the day of his new plan with the next", async () => {
    await rig.change("pro", { allowance: 620n * MICRO, reset_day: 16, time_zone: "UTC", change_takes_effect: "now" });
    rig.set("2035-05-01T00:00:00Z");
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    rig.set("2035-05-16T12:00:00Z");
    await rig.subscribe(ada.userId, "pro");
    expect(await rig.shown(ada.userId)).to.deep.equal([["2035-05-01T00:00", "2035-06-01T00:00", 310]]);
    await rig.change("free", { reset_day: 7 });
    rig.set("2035-06-20T00:00:00Z");
    await runAll(rig);
    expect((await rig.shown(ada.userId)).slice(1)).to.deep.equal([
      ["2035-06-01T00:00", "2035-06-16T00:00", 300],
      ["2035-06-16T00:00", "2035-07-16T00:00", 620],
    ]);
  });

  it("a plan that was changed just before a period began is granted as changed, also when the period was opened before that was known", async () => {
    rig.set("2035-07-31T23:59:59.900Z");
    const ada = await rig.person(new Date("2035-07-08T00:00:00Z"));
    await rig.subscribe(ada.userId, "basic", { resetDay: 1, timeZone: "UTC" });
    rig.set("2035-09-01T00:00:00.050Z");
    await runAll(rig);
    await rig.pool.query(
      `INSERT INTO plan_versions (plan, version, display_name, allowance, change_takes_effect, created_at)
       SELECT plan, max(version) + 1, plan, 777000000, 'next_period', '2035-08-31T23:59:59.950Z' FROM plan_versions WHERE plan = 'basic' GROUP BY plan`,
    );
    await runAll(rig);
    expect((await rig.shown(ada.userId)).at(-1)).to.deep.equal(["2035-09-01T00:00", "2035-10-01T00:00", 777]);
  });

  it("the database refuses a period that overlaps another one, leaves a gap or follows a second time", async () => {
    const ada = await rig.person(new Date(rig.clock.at.getTime() - 40 * DAY_MS));
    await runAll(rig);
    const last = (await rig.periods(ada.userId)).at(-1)!;
    const insert = (from: Date, until: Date) =>
      rig.pool
        .query(
          `INSERT INTO subscription_periods (user_id, wallet_id, starts_at, ends_at, plan, plan_version, statement_due_at)
           VALUES ($1, $2, $3, $4, 'free', 1, $4)`,
          [ada.userId, ada.walletId, from, until],
        )
        .then(
          () => "written",
          (error: { constraint?: string }) => error.constraint,
        );
    const after = (days: number) => new Date(last.ends_at.getTime() + days * DAY_MS);
    expect(await insert(after(-3), after(20)), "overlaps").to.equal("subscription_periods_chain");
    expect(await insert(after(2), after(20)), "gap").to.equal("subscription_periods_chain");
    expect(await insert(after(-500), last.ends_at), "a second end").to.equal("subscription_periods_user_id_ends_at_key");
    expect(await insert(after(-500), after(-499)), "before the first").to.equal("subscription_periods_chain");
    expect(await insert(after(0), after(20))).to.equal("written");
    await rig.pool.query("DELETE FROM subscription_periods WHERE user_id = $1 AND starts_at = $2", [ada.userId, last.ends_at]);
  });
});
