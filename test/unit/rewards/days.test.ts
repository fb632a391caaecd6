import { expect } from "chai";
import fc from "fast-check";
import { daysUntil, judgeDay, rewardOf, type DaysTaken, type TakenDay } from "../../../src/rewards/checkin/days.ts";
import { rowLength } from "../../../src/rewards/checkin/makeup.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const at = (text: string) => new Date(text);
const NONE: DaysTaken = { newest: undefined, lastCheckIn: undefined };

/** Somebody who tries to check in; what was taken is kept. */
function person() {
  const taken: TakenDay[] = [];
  const state = (): DaysTaken => ({ newest: taken.at(-1), lastCheckIn: taken.at(-1) });
  return {
    taken,
    judge: (now: Date, zone: string) => judgeDay(now, zone, state()),
    /** The streak, or undefined when refused. */
    try(now: Date, zone: string): number | undefined {
      const verdict = judgeDay(now, zone, state());
      if (verdict.opensAt) return undefined;
      taken.push({ day: verdict.today, timeZone: zone, at: now, streak: verdict.nextStreak });
      return verdict.nextStreak;
    },
  };
}

describe("days of check-in", () => {
  it("begin at midnight of the person's zone: 23:59:59 and 00:00:00 are two days", () => {
    for (const [zone, midnight] of [
      ["Asia/Shanghai", "2026-11-20T16:00:00Z"],
      ["America/New_York", "2026-11-21T05:00:00Z"],
      ["Asia/Kathmandu", "2026-11-20T18:15:00Z"],
      ["Australia/Lord_Howe", "2026-11-20T13:00:00Z"],
    ] as const) {
      const somebody = person();
      const second = new Date(at(midnight).getTime() - 1_000);
      expect(somebody.try(second, zone), zone).to.equal(1);
      expect(somebody.judge(second, zone).opensAt, zone).to.deep.equal(at(midnight));
      expect(somebody.try(new Date(at(midnight).getTime() - 1), zone), zone).to.equal(undefined);
      expect(somebody.try(at(midnight), zone), zone).to.equal(2);
      expect(somebody.try(new Date(at(midnight).getTime() + 1), zone), zone).to.equal(undefined);
    }
  });

  it("are days also when the clocks change: 23 and 25 hours, and over midnight", () => {
    for (const [zone, first] of [
      ["Europe/Berlin", "2026-03-28T22:30:00Z"],
      ["Europe/Berlin", "2026-10-24T21:30:00Z"],
      ["America/Havana", "2026-03-08T04:30:00Z"],
      ["America/Havana", "2026-11-01T03:30:00Z"],
      ["Africa/Cairo", "2026-04-23T21:30:00Z"],
    ] as const) {
      const somebody = person();
      let now = at(first).getTime();
      // The last half hour of one day, then each next day as soon as it opens.
      expect(somebody.try(new Date(now), zone)).to.equal(1);
      for (let streak = 2; streak < 6; streak++) {
        now = somebody.judge(new Date(now), zone).opensAt!.getTime();
        expect(somebody.try(new Date(now - 1), zone), `${zone} ${new Date(now).toISOString()}`).to.equal(undefined);
        expect(somebody.try(new Date(now), zone), `${zone} ${new Date(now).toISOString()}`).to.equal(streak);
      }
      const days = somebody.taken.map((taken) => taken.day);
      expect(new Set(days).size).to.equal(days.length);
    }
  });

  it("a day that the calendar of the zone left out was not missed", () => {
    // Samoa had no 30 December 2011.
    const somebody = person();
    expect(somebody.try(at("2011-12-29T20:00:00Z"), "Pacific/Apia")).to.equal(1);
    expect(somebody.try(at("2011-12-30T10:00:00Z"), "Pacific/Apia")).to.equal(2);
    expect(somebody.taken.map((taken) => taken.day)).to.deep.equal(["2011-12-29", "2011-12-31"]);
    expect(daysUntil("Pacific/Apia", at("2011-12-31T00:00:00Z").getTime(), 3)).to.deep.equal(["2011-12-28", "2011-12-29", "2011-12-31"]);
  });

  it("in a row count up; a missed day begins anew", () => {
    const somebody = person();
    const noon = (day: number) => new Date(at("2026-11-01T04:00:00Z").getTime() + day * DAY);
    expect([0, 1, 2].map((day) => somebody.try(noon(day), "Asia/Shanghai"))).to.deep.equal([1, 2, 3]);
    expect(somebody.judge(noon(3), "Asia/Shanghai")).to.include({ streak: 3, nextStreak: 4 });
    expect(somebody.judge(noon(4), "Asia/Shanghai")).to.include({ streak: 0, nextStreak: 1 });
    expect([4, 5].map((day) => somebody.try(noon(day), "Asia/Shanghai"))).to.deep.equal([1, 2]);
  });

  it("moving west pays no day twice, moving east gains no day", () => {
    const west = person();
    expect(west.try(at("2026-11-21T01:00:00Z"), "Asia/Tokyo")).to.equal(1);
    // Still the 20th in Honolulu, then the 21st, which was paid in Tokyo.
    expect(west.try(at("2026-11-21T02:00:00Z"), "Pacific/Honolulu")).to.equal(undefined);
    expect(west.try(at("2026-11-21T21:30:00Z"), "Pacific/Honolulu")).to.equal(undefined);
    expect(west.judge(at("2026-11-21T21:30:00Z"), "Pacific/Honolulu").opensAt).to.deep.equal(at("2026-11-22T10:00:00Z"));
    expect(west.try(at("2026-11-22T10:00:00Z"), "Pacific/Honolulu")).to.equal(2);

    const east = person();
    expect(east.try(at("2026-11-21T09:59:00Z"), "Pacific/Honolulu")).to.equal(1);
    // A minute later it is a new day in Honolulu, and the day after that in Kiritimati.
    for (const hours of [0, 0.02, 5, 19.9]) {
      const now = new Date(at("2026-11-21T09:59:00Z").getTime() + hours * HOUR);
      expect(east.try(now, "Pacific/Kiritimati"), `${hours} hours`).to.equal(undefined);
    }
    // The calendar skipped a day on the way, which the person could not have used.
    expect(east.try(at("2026-11-22T05:59:00Z"), "Pacific/Kiritimati")).to.equal(2);
  });

  it("whatever zones are chosen: days only go forward, changes wait 20 hours, and nobody gains more than two days for ever", () => {
    const zone = fc.constantFrom("Pacific/Kiritimati", "Etc/GMT+12", "Asia/Shanghai", "America/New_York", "Pacific/Chatham", "UTC");
    const step = fc.record({
      zone,
      waitMs: fc.oneof(fc.integer({ min: 0, max: 2 * HOUR }), fc.integer({ min: 0, max: 30 * HOUR })),
      edge: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
        const somebody = person();
        const begin = at("2026-10-20T00:00:00Z").getTime();
        let now = begin;
        for (const { zone: next, waitMs, edge } of steps) {
          // Some wait until exactly when it opens: what a script would do.
          const opens = somebody.judge(new Date(now), next).opensAt;
          now = edge && opens && opens.getTime() - now < 48 * HOUR ? opens.getTime() : now + waitMs;
          somebody.try(new Date(now), next);
        }
        const { taken } = somebody;
        taken.slice(1).forEach((later, index) => {
          const earlier = taken[index]!;
          expect(later.day > earlier.day).to.equal(true);
          if (later.timeZone !== earlier.timeZone) expect(later.at.getTime() - earlier.at.getTime()).to.be.at.least(20 * HOUR);
          const third = taken[index + 2];
          // Two midnights lie between a check-in and the next but one.
          if (third) expect(third.at.getTime() - earlier.at.getTime()).to.be.at.least(20 * HOUR);
        });
        expect(taken.length).to.be.at.most(Math.ceil((now - begin) / DAY) + 3);
      }),
      { numRuns: 100 },
    );
  });

  it("are judged the same for whoever never checked in", () => {
    expect(judgeDay(at("2026-11-21T04:00:00Z"), "Asia/Shanghai", NONE)).to.deep.equal({
      today: "2026-11-21",
      opensAt: undefined,
      streak: 0,
      nextStreak: 1,
    });
  });
});

describe("the reward table", () => {
  it("pays by the day in a row; past its end the last amount, or the table anew", () => {
    const table = [1n, 2n, 5n];
    expect([1, 2, 3, 4, 7].map((streak) => rewardOf(streak, table, "last"))).to.deep.equal([1n, 2n, 5n, 5n, 5n]);
    expect([1, 2, 3, 4, 6, 7].map((streak) => rewardOf(streak, table, "repeat"))).to.deep.equal([1n, 2n, 5n, 1n, 5n, 1n]);
  });

  it("always pays an amount of the table", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.array(fc.bigInt({ min: 1n, max: 10n ** 12n }), { minLength: 1, maxLength: 40 }),
        fc.constantFrom("last" as const, "repeat" as const),
        (streak, table, pastTable) => {
          expect(table).to.include(rewardOf(streak, table, pastTable));
          if (streak <= table.length) expect(rewardOf(streak, table, pastTable)).to.equal(table[streak - 1]);
        },
      ),
    );
  });
});

describe("a made-up day", () => {
  it("lengthens the row that follows it, up to the next gap", () => {
    expect(rowLength([])).to.equal(0);
    expect(rowLength([1, 2, 3])).to.equal(3);
    expect(rowLength([1, 2, 1, 2])).to.equal(2);
    expect(rowLength([4, 5])).to.equal(0);
  });
});
