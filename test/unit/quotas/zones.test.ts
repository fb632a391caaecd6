import { expect } from "chai";
import fc from "fast-check";
import { budgetsAt, changeZone, countedAt, spendLimits, type LimitZone } from "../../../src/quotas/index.ts";

const at = (time: string) => Date.parse(time);
const HOUR_MS = 3_600_000;
const ZONES = [
  "Pacific/Pago_Pago",
  "America/New_York",
  "UTC",
  "Europe/Berlin",
  "Africa/Cairo",
  "Asia/Kathmandu",
  "Asia/Shanghai",
  "Pacific/Chatham",
  "Pacific/Kiritimati",
];

const DAY_MS = 24 * HOUR_MS;
const MICRO = 1_000_000;

describe("the zone of spend limits, when it is changed", () => {
  const days = (zone: LimitZone, ...times: string[]) => times.map((time) => countedAt(zone, at(time)).day);
  const daily = (zone: LimitZone, ms: number) => budgetsAt(spendLimits([{ id: "user:u", limits: { spend_daily: "1" } }], zone)!, ms)[0]!;
  const limits = (zone: LimitZone, ...times: string[]) => times.map((time) => Number(daily(zone, at(time)).limit) / MICRO);

  it("leaves the present day whole, and adds to it what is missing to the next midnight of the new zone", () => {
    // 20:00 in Shanghai, whose day ends at 16:00 UTC; midnight in Berlin is at 23:00 UTC.
    const west = changeZone({ timeZone: "Asia/Shanghai" }, "Europe/Berlin", at("2026-11-21T12:00:00Z"));
    const untilMs = at("2026-11-21T23:00:00Z");
    const atMs = at("2026-11-21T12:00:00Z");
    expect(west).to.deep.equal({ timeZone: "Europe/Berlin", before: { timeZone: "Asia/Shanghai", atMs, endsMs: untilMs, untilMs } });
    const times = ["2026-11-21T12:00:00Z", "2026-11-21T15:59:59Z", "2026-11-21T16:00:00Z", "2026-11-21T22:59:59Z", "2026-11-21T23:00:00Z"];
    expect(days(west, ...times)).to.deep.equal(["2026-11-21", "2026-11-21", "2026-11-21", "2026-11-21", "2026-11-22"]);
    expect(limits(west, ...times)).to.deep.equal([1, 1, 1.291666, 1.291666, 1]);
    const { dayBegan, dayEnds } = countedAt(west, at("2026-11-21T12:00:00Z"));
    expect([dayBegan, dayEnds].map((date) => date.toISOString())).to.deep.equal(["2026-11-20T16:00:00.000Z", "2026-11-21T23:00:00.000Z"]);
  });

  it("brings no limit of a date that it is elsewhere already, and takes none away for it", () => {
    // 23:00 in New York; in Shanghai it is the 22nd, whose limit is not there for the taking: the next is that of the 23rd there.
    const east = changeZone({ timeZone: "America/New_York" }, "Asia/Shanghai", at("2026-11-22T04:00:00Z"));
    const times = ["2026-11-22T04:00:00Z", "2026-11-22T05:00:00Z", "2026-11-22T15:59:59Z", "2026-11-22T16:00:00Z"];
    expect(days(east, ...times)).to.deep.equal(["2026-11-21", "2026-11-21", "2026-11-21", "2026-11-23"]);
    expect(limits(east, ...times)).to.deep.equal([1, 1.458333, 1.458333, 1]);
    // 25 hours apart: at the next midnight of Pago Pago the same date begins once more, so it is the one after.
    const far = changeZone({ timeZone: "Pacific/Kiritimati" }, "Pacific/Pago_Pago", at("2026-11-22T09:00:00Z"));
    expect(days(far, "2026-11-22T09:00:00Z", "2026-11-23T10:59:59Z", "2026-11-23T11:00:00Z")).to.deep.equal([
      "2026-11-22",
      "2026-11-22",
      "2026-11-23",
    ]);
    expect(limits(far, "2026-11-22T10:00:00Z")[0]).to.equal(2.041666);
  });

  it("is as it was when it is changed back on the same day", () => {
    const there = changeZone({ timeZone: "Asia/Shanghai" }, "Europe/Berlin", at("2026-11-21T12:00:00Z"));
    expect(changeZone(there, "Asia/Shanghai", at("2026-11-21T13:00:00Z"))).to.deep.equal({ timeZone: "Asia/Shanghai" });
  });

  it("settles what the day is longer by when it was over", () => {
    let zone = changeZone({ timeZone: "Asia/Shanghai" }, "Europe/Berlin", at("2026-11-21T12:00:00Z"));
    for (let n = 0; n < 10; n += 1) {
      for (const to of ["America/New_York", "Asia/Kathmandu", "UTC"]) zone = changeZone(zone, to, at("2026-11-21T20:00:00Z"));
    }
    expect(limits(zone, "2026-11-21T20:00:00Z")).to.deep.equal([1.291666]);
    expect(days(zone, "2026-11-21T23:59:59Z", "2026-11-22T00:00:00Z")).to.deep.equal(["2026-11-21", "2026-11-22"]);
  });

  it("ends a month when its last day was to end", () => {
    const zone = changeZone({ timeZone: "Asia/Shanghai" }, "UTC", at("2026-11-30T12:00:00Z"));
    const [last, next] = ["2026-11-30T15:59:59Z", "2026-11-30T16:00:00Z"].map((time) => countedAt(zone, at(time)));
    expect([last!.month, last!.monthEnds.toISOString()]).to.deep.equal(["2026-11", "2026-11-30T16:00:00.000Z"]);
    expect([next!.month, next!.monthBegan.toISOString(), next!.monthEnds.toISOString()]).to.deep.equal([
      "2026-12",
      "2026-11-30T16:00:00.000Z",
      "2027-01-01T00:00:00.000Z",
    ]);
    expect(countedAt(zone, at("2026-12-01T00:00:00Z")).month).to.equal("2026-12");
    const early = countedAt(changeZone({ timeZone: "Asia/Shanghai" }, "UTC", at("2026-11-20T12:00:00Z")), at("2026-11-20T20:00:00Z"));
    expect([early.month, early.monthEnds.toISOString()]).to.deep.equal(["2026-11", "2026-12-01T00:00:00.000Z"]);
  });

  /** Goes through changes by hours; `look` sees each moment's day, with what it and all before it allow together. */
  function live(
    first: string,
    changes: readonly { after: number; to: string }[],
    look: (moment: { days: number; allowed: number; day: string; before: string }) => void,
  ): void {
    let zone: LimitZone = { timeZone: first };
    let ms = at("2026-03-20T07:30:00Z");
    const began = daily(zone, ms).since!.getTime();
    const allowed = new Map<string, number>();
    let before = "";
    const see = () => {
      const { period, limit } = daily(zone, ms);
      allowed.set(period, Number(limit) / MICRO);
      look({ days: (ms - began) / DAY_MS, allowed: [...allowed.values()].reduce((sum, each) => sum + each, 0), day: period, before });
      before = period;
    };
    for (const { after, to } of [...changes, { after: 50, to: first }]) {
      for (let n = 0; n < after; n += 1, ms += HOUR_MS) see();
      zone = changeZone(zone, to, ms);
      see();
    }
  }
  /** A day is an hour shorter, or longer, where clocks are changed on it. */
  const CLOCKS = 0.3;

  it("allows no more than a limit each 24 hours, however often and wherever it is changed", () => {
    const change = fc.record({ after: fc.integer({ min: 1, max: 30 }), to: fc.constantFrom(...ZONES) });
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), fc.array(change, { minLength: 1, maxLength: 12 }), (first, changes) => {
        live(first, changes, ({ days: passed, allowed, day, before }) => {
          expect(day >= before, `${day} after ${before}`).to.equal(true);
          expect(allowed).to.be.at.most(1 + passed + CLOCKS);
        });
      }),
      { numRuns: 60 },
    );
  });

  it("allows no less, wherever it is changed to every few days", () => {
    const change = fc.record({ after: fc.integer({ min: 75, max: 120 }), to: fc.constantFrom(...ZONES) });
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), fc.array(change, { minLength: 1, maxLength: 5 }), (first, changes) => {
        live(first, changes, ({ days: passed, allowed }) => expect(allowed).to.be.at.least(passed - CLOCKS));
      }),
      { numRuns: 20 },
    );
  });
});
