import { expect } from "chai";
import fc from "fast-check";
import { MICRO } from "../../../src/platform/credits.ts";
import { quotaBudgets } from "../../../src/quotas/counters.ts";
import { createPlanAdmin } from "../../../src/quotas/plans/admin.ts";
import { readBook } from "../../../src/quotas/plans/book.ts";
import type { PlanChange } from "../../../src/quotas/plans/schema.ts";
import { createSubscriptions, type Subscription } from "../../../src/quotas/subscriptions.ts";
import { quotaRig, runAll, type QuotaRig } from "./rig.ts";

const RUNS = process.env["TEST_SCALE"] === "full" ? 40 : 6;
const DAY_MS = 86_400_000;
const PLANS = ["free", "basic", "pro"];
const ZONES = ["Asia/Shanghai", "America/New_York", "UTC", "Africa/Cairo", "Pacific/Kiritimati"];
const ACTOR = { userId: "00000000-0000-7000-8000-000000000001", traceId: "test" };

interface Period {
  starts_at: Date;
  ends_at: Date;
  granted: bigint;
  credited: bigint;
}

describe("plans that change", function () {
  this.timeout(300_000);
  let rig: QuotaRig;
  let admin: ReturnType<typeof createPlanAdmin>;
  let subscriptions: ReturnType<typeof createSubscriptions>;
  before(async () => {
    rig = await quotaRig();
    admin = createPlanAdmin({ pool: rig.pool, clock: { now: () => rig.clock.at } });
    subscriptions = createSubscriptions({ pool: rig.pool, ledger: rig.ledger, clock: { now: () => rig.clock.at } });
    for (const name of PLANS.slice(1)) await rig.plan(name, 0);
  });
  afterEach(async () => expect((await rig.ledger.verify()).differences).to.deep.equal([]));
  after(() => rig.close());

  const at = (time: string) => (rig.clock.at = new Date(time));
  const change = (plan: string, fields: PlanChange) => admin.change(plan, fields, ACTOR);
  const subscribe = (
    userId: string,
    plan: string,
    more: { resetDay?: number; timeZone?: string; takesEffect?: "now" | "next_period" } = {},
  ) =>
    subscriptions.subscribe(
      userId,
      { plan, resetDay: undefined, timeZone: undefined, takesEffect: undefined, reason: null, ...more },
      ACTOR,
    );
  /** A user's periods with what was credited for each. */
  async function periods(userId: string): Promise<Period[]> {
    const { rows } = await rig.pool.query<Period>(
      `SELECT starts_at, ends_at, granted, (
         SELECT coalesce(sum(amount), 0)::bigint FROM ledger_transfers t
         WHERE t.credit_account = p.wallet_id AND t.type = 'ALLOWANCE' AND t.expires_at = p.ends_at
       ) AS credited FROM subscription_periods p WHERE user_id = $1 ORDER BY starts_at`,
      [userId],
    );
    return rows;
  }
  const shown = async (userId: string) =>
    (await periods(userId)).map(({ starts_at, ends_at, credited }) => [
      starts_at.toISOString().slice(0, 16),
      ends_at.toISOString().slice(0, 16),
      Number(credited) / 1e6,
    ]);

  it("another reset day and zone of the standard plan count from the next period: it begins where the present one ends", async () => {
    await change("free", { allowance: 31n * MICRO, standard: true, reset_day: 1, time_zone: "Asia/Shanghai" });
    at("2034-02-28T16:00:00Z");
    const ada = await rig.person(rig.clock.at);
    at("2034-03-10T00:00:00Z");
    await runAll(rig);
    await change("free", { reset_day: 20, time_zone: "UTC", change_takes_effect: "now" });
    await runAll(rig);
    expect((await subscriptions.of(ada.userId)).period.untilMs).to.equal(Date.parse("2034-03-31T16:00Z"));
    at("2034-05-01T00:00:00Z");
    await runAll(rig);
    expect(await shown(ada.userId)).to.deep.equal([
      ["2034-02-28T16:00", "2034-03-31T16:00", 31],
      // A part of the month from the 20th of March on: its share.
      ["2034-03-31T16:00", "2034-04-20T00:00", 19.333334],
      ["2034-04-20T00:00", "2034-05-20T00:00", 31],
    ]);
  });

  it("another standard plan counts now or with the next period, as it says, and what it was is not forgotten", async () => {
    await change("free", { reset_day: 1, time_zone: "UTC", allowance: 0n, change_takes_effect: "next_period" });
    at("2034-07-01T00:00:00Z");
    await change("basic", { allowance: 300n * MICRO, reset_day: 1, time_zone: "UTC", change_takes_effect: "now" });
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    at("2034-09-01T00:00:00Z");
    await runAll(rig);
    at("2034-09-16T00:00:00Z");
    await change("basic", { standard: true });
    await Promise.all([runAll(rig), runAll(rig.another())]);
    expect((await shown(ada.userId)).at(-1)).to.deep.equal(["2034-09-01T00:00", "2034-10-01T00:00", 150]);
    // There and back in one period: nothing is granted twice, and the time in between counts.
    at("2034-09-22T00:00:00Z");
    await change("free", { standard: true, change_takes_effect: "now" });
    at("2034-09-28T00:00:00Z");
    await change("basic", { standard: true });
    await runAll(rig);
    expect((await shown(ada.userId)).at(-1)![2]).to.equal(150);
    await change("free", { standard: true, change_takes_effect: "next_period" });
    at("2034-10-02T00:00:00Z");
    await runAll(rig);
    expect((await shown(ada.userId)).slice(-2)).to.deep.equal([
      ["2034-09-01T00:00", "2034-10-01T00:00", 150],
      ["2034-10-01T00:00", "2034-11-01T00:00", 0],
    ]);
  });

  it("a standard plan that came and went between two runs is granted for its time", async () => {
    at("2035-01-01T00:00:00Z");
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    at("2035-01-11T00:00:00Z");
    await change("basic", { standard: true, change_takes_effect: "now", allowance: 310n * MICRO });
    at("2035-01-21T00:00:00Z");
    await change("free", { standard: true, change_takes_effect: "now" });
    await runAll(rig);
    expect(await shown(ada.userId)).to.deep.equal([["2035-01-01T00:00", "2035-02-01T00:00", 100]]);
  });

  it("a standard plan that comes while a run is under way is granted by the next", async () => {
    at("2035-03-01T00:00:00Z");
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    // The run looks at its clock, then the change is made, then the run reads what there is.
    at("2035-03-11T00:00:00Z");
    await change("basic", { standard: true, change_takes_effect: "now", allowance: 310n * MICRO });
    at("2035-03-21T00:00:00.001Z");
    await change("free", { standard: true, change_takes_effect: "now" });
    at("2035-03-21T00:00:00Z");
    await runAll(rig);
    const late = await rig.person(rig.clock.at);
    await runAll(rig);
    expect((await shown(ada.userId))[0]![2]).to.equal(210);
    at("2035-03-21T00:00:01Z");
    await change("basic", { standard: true });
    at("2035-03-31T00:00:00Z");
    await runAll(rig);
    for (const { userId } of [ada, late]) {
      const { rows } = await rig.pool.query("SELECT plan FROM subscription_periods WHERE user_id = $1", [userId]);
      expect(rows).to.deep.equal([{ plan: "basic" }]);
    }
    at("2035-03-31T00:00:01Z");
    await change("free", { standard: true });
  });

  it("a plan that somebody takes while a run is about to open his period is granted with it", async () => {
    await change("pro", { allowance: 620n * MICRO, reset_day: 1, time_zone: "UTC", change_takes_effect: "now" });
    const ada = await rig.person(new Date("2035-04-01T00:00:00Z"));
    at("2035-04-16T00:00:00.001Z");
    await subscribe(ada.userId, "pro");
    at("2035-04-16T00:00:00Z");
    await runAll(rig);
    expect(await shown(ada.userId)).to.deep.equal([["2035-04-01T00:00", "2035-05-01T00:00", 310]]);
  });

  it("whoever leaves the standard plan keeps the period he is in, and gets the day of his new plan with the next", async () => {
    await change("pro", { allowance: 620n * MICRO, reset_day: 16, time_zone: "UTC", change_takes_effect: "now" });
    at("2035-05-01T00:00:00Z");
    const ada = await rig.person(rig.clock.at);
    await runAll(rig);
    at("2035-05-16T12:00:00Z");
    await subscribe(ada.userId, "pro");
    expect(await shown(ada.userId)).to.deep.equal([["2035-05-01T00:00", "2035-06-01T00:00", 310]]);
    await change("free", { reset_day: 7 });
    at("2035-06-20T00:00:00Z");
    await runAll(rig);
    expect((await shown(ada.userId)).slice(1)).to.deep.equal([
      ["2035-06-01T00:00", "2035-06-16T00:00", 300],
      ["2035-06-16T00:00", "2035-07-16T00:00", 620],
    ]);
  });

  it("a plan that was changed just before a period began is granted as changed, also when the period was opened before that was known", async () => {
    at("2035-07-31T23:59:59.900Z");
    const ada = await rig.person(new Date("2035-07-08T00:00:00Z"));
    await subscribe(ada.userId, "basic", { resetDay: 1, timeZone: "UTC" });
    at("2035-09-01T00:00:00.050Z");
    await runAll(rig);
    await rig.pool.query(
      `INSERT INTO plan_versions (plan, version, display_name, allowance, change_takes_effect, created_at)
       SELECT plan, max(version) + 1, plan, 777000000, 'next_period', '2035-08-31T23:59:59.950Z' FROM plan_versions WHERE plan = 'basic' GROUP BY plan`,
    );
    await runAll(rig);
    expect((await shown(ada.userId)).at(-1)).to.deep.equal(["2035-09-01T00:00", "2035-10-01T00:00", 777]);
  });

  it("the database refuses a period that overlaps another one, leaves a gap or follows a second time", async () => {
    const ada = await rig.person(new Date(rig.clock.at.getTime() - 40 * DAY_MS));
    await runAll(rig);
    const last = (await periods(ada.userId)).at(-1)!;
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

  const day = fc.integer({ min: 1, max: 31 });
  const effect = fc.constantFrom("now" as const, "next_period" as const);
  const who = fc.nat({ max: 2 });
  const name = fc.constantFrom(...PLANS);
  const fields = fc.record(
    {
      reset_day: day,
      time_zone: fc.constantFrom(...ZONES),
      allowance: fc.bigInt({ min: 0n, max: 1_000n * MICRO }),
      change_takes_effect: effect,
      standard: fc.constant(true as const),
    },
    { requiredKeys: ["change_takes_effect"] },
  );
  const more = fc.record({ resetDay: day, timeZone: fc.constantFrom(...ZONES), takesEffect: effect }, { requiredKeys: [] });
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ what: fc.constant("wait" as const), ms: fc.oneof(fc.nat({ max: 50 * DAY_MS }), fc.nat({ max: 90_000 })) }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("edge" as const), who, ms: fc.integer({ min: -70_000, max: 70_000 }) }) },
    { weight: 3, arbitrary: fc.record({ what: fc.constant("run" as const), copies: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 3, arbitrary: fc.record({ what: fc.constant("plan" as const), name, fields }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant("subscribe" as const), who, name, more }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("all at once" as const), who, name, fields, more }) },
  );

  it("whatever changes in whatever order, an account's periods follow each other without gap or overlap, and each is granted once", async () => {
    at("2040-01-01T00:00:00Z");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 25 }), async (steps) => {
        const people = [
          await rig.person(rig.clock.at),
          await rig.person(new Date(rig.clock.at.getTime() - 45 * DAY_MS)),
          await rig.person(rig.clock.at),
        ];
        const seen = new Map<string, { subscription: Subscription; counter: string }>();
        const look = async (userId: string) => {
          const book = await readBook(rig.pool);
          const terms = (await rig.pool.query<{ terms: Subscription["terms"][] | null }>("SELECT quota_terms($1) AS terms", [userId]))
            .rows[0]!.terms;
          const limits = { tier: {}, own: { quota_requests: 1 }, key: {} };
          const { budgets } = quotaBudgets(
            { userId, keyId: undefined, terms: terms ?? book.standard, book, weights: {}, limits },
            rig.clock.at.getTime(),
          );
          return { subscription: await subscriptions.of(userId), counter: budgets[0]!.period };
        };
        /** What the relay counts by never goes back, and a period that was seen once stays as it is. */
        const checkPeople = async () => {
          for (const { userId } of people) {
            const [before, now] = [seen.get(userId), await look(userId)];
            if (before) {
              expect(now.counter >= before.counter, "a counter never goes back").to.equal(true);
              if (rig.clock.at.getTime() < before.subscription.period.untilMs)
                expect(now.subscription.period).to.deep.equal(before.subscription.period);
              else expect(now.subscription.period.fromMs).to.be.at.least(before.subscription.period.untilMs);
            }
            seen.set(userId, now);
          }
        };
        const run = (copies: number) => Promise.all(Array.from({ length: copies }, () => runAll(rig.another())));
        for (const one of steps) {
          if (one.what === "wait") rig.clock.at = new Date(rig.clock.at.getTime() + one.ms);
          else if (one.what === "edge") {
            const { untilMs } = (await subscriptions.of(people[one.who]!.userId)).period;
            rig.clock.at = new Date(Math.max(rig.clock.at.getTime(), untilMs + one.ms));
          } else if (one.what === "plan") await change(one.name, one.fields);
          else if (one.what === "subscribe") await subscribe(people[one.who]!.userId, one.name, one.more);
          else if (one.what === "all at once") {
            await Promise.all([run(2), change(one.name, one.fields), subscribe(people[one.who]!.userId, one.name, one.more)]);
          } else await run(one.copies);
          await checkPeople();
        }
        await run(2);
        for (const { userId } of people) {
          const opened = await periods(userId);
          const { period } = await look(userId).then(({ subscription }) => subscription);
          expect(opened.at(-1)!.ends_at.getTime(), "open until the end of the present one").to.equal(period.untilMs);
          expect(opened.at(-1)!.starts_at.getTime()).to.equal(period.fromMs);
          opened.forEach(({ starts_at, ends_at, granted, credited }, n) => {
            if (n > 0) expect(starts_at).to.deep.equal(opened[n - 1]!.ends_at);
            expect(ends_at.getTime() - starts_at.getTime()).to.be.within(1, 31 * DAY_MS + 3_600_000);
            expect(credited, "credited what was granted").to.equal(granted);
            expect(granted <= 1_000n * MICRO, "never more than the largest allowance").to.equal(true);
          });
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
});
