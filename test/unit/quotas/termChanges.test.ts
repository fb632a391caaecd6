import { expect } from "chai";
import fc from "fast-check";
import { periodAt, termsAt, type Terms } from "../../../src/quotas/calendar.ts";
import { changedTerms } from "../../../src/quotas/termChanges.ts";

const at = (time: string) => Date.parse(time);
const DAY_MS = 86_400_000;
const BEGIN = at("2026-01-01T00:00Z");

describe("terms that are changed", () => {
  const first: Terms[] = [{ fromMs: 0, plan: "free", resetDay: 1, timeZone: "UTC" }];
  const list = (terms: readonly Terms[]) =>
    terms.map(({ fromMs, plan, resetDay }) => `${new Date(fromMs).toISOString().slice(0, 16)} ${plan} ${resetDay}`);
  const to = (plan: string, resetDay = 1, atOnce = true) => ({ plan, resetDay, timeZone: "UTC", atOnce });

  it("have a new plan now or with the next period, another day always with the next period", () => {
    expect(list(changedTerms(first, to("pro", 1), at("2026-11-10T00:00Z")))).to.deep.equal([
      "1970-01-01T00:00 free 1",
      "2026-11-10T00:00 pro 1",
    ]);
    expect(list(changedTerms(first, to("pro", 5), at("2026-11-10T00:00Z")))).to.deep.equal([
      "1970-01-01T00:00 free 1",
      "2026-11-10T00:00 pro 1",
      "2026-12-01T00:00 pro 5",
    ]);
    expect(list(changedTerms(first, to("pro", 5, false), at("2026-11-10T00:00Z")))).to.deep.equal([
      "1970-01-01T00:00 free 1",
      "2026-12-01T00:00 pro 5",
    ]);
  });

  it("replace what was to come, and are as before when a change is taken back", () => {
    const changed = changedTerms(first, to("pro", 5, false), at("2026-11-10T00:00Z"));
    expect(changedTerms(changed, to("free", 1), at("2026-11-11T00:00Z"))).to.deep.equal(first);
  });

  it("leave the end of the next period alone in the last minute before it begins", () => {
    const late = changedTerms(first, to("pro", 5, false), at("2026-11-30T23:59:30Z"));
    expect(list(late)).to.deep.equal(["1970-01-01T00:00 free 1", "2026-12-01T00:00 pro 1", "2027-01-01T00:00 pro 5"]);
    const pending = changedTerms(first, to("pro", 5, false), at("2026-11-10T00:00Z"));
    expect(list(changedTerms(pending, to("max", 9), at("2026-11-30T23:59:30Z")))).to.deep.equal([
      "1970-01-01T00:00 free 1",
      "2026-11-30T23:59 max 1",
      "2026-12-01T00:00 max 5",
      "2026-12-05T00:00 max 9",
    ]);
  });

  it("never move a period that has begun or is about to, whatever changes in whatever order", () => {
    const change = fc.record({
      afterMs: fc.oneof(fc.integer({ min: 0, max: 40 * DAY_MS }), fc.integer({ min: 0, max: 120_000 })),
      plan: fc.constantFrom("free", "pro", "max"),
      resetDay: fc.integer({ min: 1, max: 31 }),
      timeZone: fc.constantFrom("UTC", "Asia/Shanghai", "America/New_York", "Africa/Cairo"),
      atOnce: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        let terms: readonly Terms[] = first;
        let ms = BEGIN;
        for (const { afterMs, ...one } of changes) {
          ms += afterMs;
          const before = terms;
          terms = changedTerms(before, one, ms);
          for (const known of [BEGIN, Math.floor((BEGIN + ms) / 2), ms - 1, ms, ms + 60_000]) {
            expect(periodAt(terms, known)).to.deep.equal(periodAt(before, known));
          }
          expect(termsAt(terms, ms - 1)).to.deep.equal(termsAt(before, ms - 1));
          if (one.atOnce) expect(termsAt(terms, ms).plan).to.equal(one.plan);
          else expect(termsAt(terms, ms)).to.deep.equal(termsAt(before, ms));
          expect(termsAt(terms, periodAt(terms, ms).untilMs).plan).to.equal(one.plan);
          expect(termsAt(terms, ms + 70 * DAY_MS)).to.deep.include({ resetDay: one.resetDay, timeZone: one.timeZone });
          terms.slice(1).forEach(({ fromMs }, n) => expect(fromMs).to.be.greaterThan(terms[n]!.fromMs));
        }
      }),
      { numRuns: 300 },
    );
  });
});
