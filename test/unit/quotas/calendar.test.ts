import { expect } from "chai";
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { periodAt, periodsBetween, resetsAround, type Terms } from "../../../src/quotas/calendar.ts";

/** With summer time (in halves of an hour, over midnight, on the southern half) and without; quarters of an hour from UTC. */
const ZONES = ["Asia/Shanghai", "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "America/Santiago", "Australia/Lord_Howe"];
const YEARS = Array.from({ length: 10 }, (_, n) => 2023 + n);
const DAYS = Array.from({ length: 31 }, (_, n) => n + 1);

/** The same by another calendar: the reset of each month of the years, and one to each side. */
function resetsByTemporal(resetDay: number, timeZone: string): number[] {
  const first = new Temporal.PlainYearMonth(YEARS[0]! - 1, 12);
  return Array.from({ length: YEARS.length * 12 + 2 }, (_, n) => {
    const month = first.add({ months: n });
    const date = month.toPlainDate({ day: Math.min(resetDay, month.daysInMonth) });
    return date.toZonedDateTime({ timeZone }).epochMilliseconds;
  });
}

describe("reset days", () => {
  for (const timeZone of ZONES) {
    it(`are those of another calendar for every day of every month of 2023 to 2032 in ${timeZone}`, () => {
      for (const resetDay of DAYS) {
        const expected = resetsByTemporal(resetDay, timeZone);
        for (let n = 0; n + 1 < expected.length; n++) {
          const [fromMs, untilMs] = [expected[n]!, expected[n + 1]!];
          const span = { fromMs, untilMs };
          expect(resetsAround({ resetDay, timeZone }, fromMs), `${resetDay} at ${new Date(fromMs).toISOString()}`).to.deep.equal(span);
          expect(resetsAround({ resetDay, timeZone }, untilMs - 1)).to.deep.equal(span);
        }
      }
    });
  }

  const cases: [string, number, string, string, string][] = [
    ["a reset day that is still ahead this month is the next one", 15, "2026-11-03T00:00:00Z", "2026-10-14T16:00Z", "2026-11-14T16:00Z"],
    ["one that has passed comes next month", 15, "2026-11-20T00:00:00Z", "2026-11-14T16:00Z", "2026-12-14T16:00Z"],
    ["the last millisecond belongs to the old period", 1, "2026-11-30T15:59:59.999Z", "2026-10-31T16:00Z", "2026-11-30T16:00Z"],
    ["the first one to the new", 1, "2026-11-30T16:00:00Z", "2026-11-30T16:00Z", "2026-12-31T16:00Z"],
    ["December is followed by January", 1, "2026-12-31T15:59:59Z", "2026-11-30T16:00Z", "2026-12-31T16:00Z"],
    ["the 31st is the 30th of a shorter month", 31, "2026-11-10T00:00:00Z", "2026-10-30T16:00Z", "2026-11-29T16:00Z"],
    ["the 29th of February in a leap year", 30, "2028-02-29T00:00:00Z", "2028-02-28T16:00Z", "2028-03-29T16:00Z"],
    ["the 28th in another", 31, "2027-02-10T00:00:00Z", "2027-01-30T16:00Z", "2027-02-27T16:00Z"],
  ];
  for (const [what, resetDay, at, from, until] of cases) {
    it(what, () => {
      const span = resetsAround({ resetDay, timeZone: "Asia/Shanghai" }, Date.parse(at));
      expect([span.fromMs, span.untilMs]).to.deep.equal([Date.parse(from), Date.parse(until)]);
    });
  }
});

describe("periods of a subscription", () => {
  const at = (time: string) => Date.parse(time);
  const zone = fc.constantFrom(...ZONES);
  const moment = fc.integer({ min: at("2023-01-01T00:00Z"), max: at("2032-12-31T00:00Z") });
  const DAY_MS = 86_400_000;

  /** Terms as they come to be: changes of plan at any time, changes of day or zone where a period ends. */
  const history = fc
    .record({
      begin: moment,
      first: fc.record({ resetDay: fc.integer({ min: 1, max: 31 }), timeZone: zone }),
      changes: fc.array(
        fc.record({
          after: fc.integer({ min: 1, max: 90 }),
          resetDay: fc.integer({ min: 1, max: 31 }),
          timeZone: zone,
          plan: fc.boolean(),
        }),
        { maxLength: 5 },
      ),
    })
    .map(({ begin, first, changes }) => {
      const terms: Terms[] = [{ fromMs: begin, plan: "a", ...first }];
      for (const { after, resetDay, timeZone, plan } of changes) {
        const last = terms.at(-1)!;
        const moment = last.fromMs + after * DAY_MS;
        if (plan) terms.push({ ...last, fromMs: moment, plan: `${last.plan}+` });
        else terms.push({ ...last, fromMs: periodAt(terms, moment).untilMs, resetDay, timeZone });
      }
      return terms;
    });

  it("follow each other without gap or overlap, none longer than a month, whatever changed", () => {
    fc.assert(
      fc.property(history, (terms) => {
        const begin = terms[0]!.fromMs;
        const periods = periodsBetween(terms, begin, begin + 500 * DAY_MS);
        expect(periods[0]!.fromMs).to.equal(begin);
        periods.forEach((period, n) => {
          expect(period.untilMs).to.be.greaterThan(period.fromMs);
          expect(period.untilMs - period.fromMs).to.be.at.most(31 * DAY_MS + 3_600_000);
          expect(period.wholeMs).to.be.at.least(period.untilMs - period.fromMs);
          if (n > 0) expect(period.fromMs).to.equal(periods[n - 1]!.untilMs);
          for (const inside of [period.fromMs, period.untilMs - 1, Math.floor((period.fromMs + period.untilMs) / 2)]) {
            expect(periodAt(terms, inside)).to.deep.equal(period);
          }
        });
      }),
      { numRuns: 150 },
    );
  });

  it("a year without anybody looking is twelve periods", () => {
    const terms: Terms[] = [{ fromMs: at("2025-11-30T16:00Z"), plan: "a", resetDay: 1, timeZone: "Asia/Shanghai" }];
    const missed = periodsBetween(terms, at("2025-11-30T16:00Z"), at("2026-11-30T15:59Z"));
    expect(missed).to.have.length(12);
    expect(missed.at(-1)!.untilMs).to.equal(at("2026-11-30T16:00Z"));
  });

  it("one who subscribes in mid-month has a first period until the next reset day", () => {
    const terms: Terms[] = [{ fromMs: at("2026-11-03T09:00Z"), plan: "a", resetDay: 15, timeZone: "Asia/Shanghai" }];
    expect(periodAt(terms, at("2026-11-03T09:00Z"))).to.deep.include({ fromMs: at("2026-11-03T09:00Z"), untilMs: at("2026-11-14T16:00Z") });
  });

  it("a new zone counts from the end of the period", () => {
    const terms: Terms[] = [
      { fromMs: at("2026-10-31T16:00Z"), plan: "a", resetDay: 1, timeZone: "Asia/Shanghai" },
      { fromMs: at("2026-11-30T16:00Z"), plan: "a", resetDay: 1, timeZone: "America/New_York" },
    ];
    expect(periodAt(terms, at("2026-11-30T15:00Z")).untilMs).to.equal(at("2026-11-30T16:00Z"));
    expect(periodAt(terms, at("2026-11-30T16:00Z"))).to.deep.equal({
      fromMs: at("2026-11-30T16:00Z"),
      untilMs: at("2026-12-01T05:00Z"),
      wholeMs: 30 * DAY_MS + 3_600_000,
    });
    expect(periodAt(terms, at("2026-12-01T05:00Z")).untilMs).to.equal(at("2027-01-01T05:00Z"));
  });
});
