import { expect } from "chai";
import fc from "fast-check";
import { MICRO } from "../../../src/platform/credits.ts";
import { quotaBudgets } from "../../../src/quotas/counters.ts";
import { readBook } from "../../../src/quotas/plans/book.ts";
import type { Subscription } from "../../../src/quotas/subscriptions.ts";
import { planRig, PLANS, type PlanRig } from "./planRig.ts";
import { runAll } from "./rig.ts";

const RUNS = process.env["TEST_SCALE"] === "full" ? 40 : 6;
const DAY_MS = 86_400_000;
const ZONES = ["Asia/Shanghai", "America/New_York", "UTC", "Africa/Cairo", "Pacific/Kiritimati"];

describe("plans and subscriptions that change in any order", function () {
  this.timeout(300_000);
  let rig: PlanRig;
  before(async () => (rig = await planRig()));
  after(() => rig.close());

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
    rig.set("2040-01-01T00:00:00Z");
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
          return { subscription: await rig.subscriptions.of(userId), counter: budgets[0]!.period };
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
            const { untilMs } = (await rig.subscriptions.of(people[one.who]!.userId)).period;
            rig.clock.at = new Date(Math.max(rig.clock.at.getTime(), untilMs + one.ms));
          } else if (one.what === "plan") await rig.change(one.name, one.fields);
          else if (one.what === "subscribe") await rig.subscribe(people[one.who]!.userId, one.name, one.more);
          else if (one.what === "all at once") {
            await Promise.all([run(2), rig.change(one.name, one.fields), rig.subscribe(people[one.who]!.userId, one.name, one.more)]);
          } else await run(one.copies);
          await checkPeople();
        }
        await run(2);
        for (const { userId } of people) {
          const opened = await rig.periods(userId);
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
