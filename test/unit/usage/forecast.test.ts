import { expect } from "chai";
import fc from "fast-check";
import { forecastMonth, squareRoot, type ForecastInput } from "../../../src/usage/reports/forecast.ts";

const WEEK = [1, 2, 3, 4, 5, 6, 0];
/** So many days up to yesterday, which was a Sunday, each costing what `of` says. */
const days = (count: number, of: (weekday: number, n: number) => bigint) =>
  Array.from({ length: count }, (_, n) => {
    const weekday = WEEK[(7 - (count % 7) + n) % 7]!;
    return { weekday, cost: of(weekday, n) };
  });
/** A Monday, half over, with `ahead` days of the month to come. */
const monday = (input: Partial<ForecastInput>, ahead: number): ForecastInput => ({
  history: [],
  spent: 0n,
  weekday: 1,
  leftOfToday: 5_000n,
  ahead: Array.from({ length: ahead }, (_, n) => WEEK[(n + 1) % 7]!),
  ...input,
});

const cost = fc.bigInt({ min: 0n, max: 10n ** 13n });
const input = fc
  .record({
    costs: fc.array(cost, { maxLength: 56 }),
    spent: cost,
    leftOfToday: fc.bigInt({ min: 0n, max: 10_000n }),
    ahead: fc.nat({ max: 30 }),
  })
  .map(({ costs, spent, leftOfToday, ahead }) => monday({ history: days(costs.length, (_, n) => costs[n]!), spent, leftOfToday }, ahead));

describe("the forecast of a month", () => {
  it("of days that all cost the same is exact and has no width", () => {
    const forecast = forecastMonth(monday({ history: days(28, () => 93_000_000n), spent: 93_000_000n * 10n }, 19));
    expect(forecast).to.deep.equal({
      spent: 930_000_000n,
      expected: 930_000_000n + 93_000_000n * 19n + 46_500_000n,
      low: 2_743_500_000n,
      high: 2_743_500_000n,
      confidence: "high",
      daysOfHistory: 28,
    });
  });

  it("knows weekdays: who works from Monday to Friday is not expected to at the weekend", () => {
    const workdays = days(56, (weekday) => (weekday === 0 || weekday === 6 ? 0n : 70n));
    // Of each weekday there are eight; the mean of all days is 50. (8 × 70 + 50) / 9 = 67.78 and (0 + 50) / 9 = 5.56.
    const week = forecastMonth(monday({ history: workdays, leftOfToday: 0n }, 6));
    expect(week.expected).to.equal(4n * 68n + 2n * 6n);
    const weekend = forecastMonth({ history: workdays, spent: 0n, weekday: 5, leftOfToday: 0n, ahead: [6, 0] });
    expect(weekend.expected).to.equal(12n);
  });

  it("without a history knows what is spent and says that it is not sure", () => {
    expect(forecastMonth(monday({ spent: 5n }, 20))).to.deep.equal({
      spent: 5n,
      expected: 5n,
      low: null,
      high: null,
      confidence: "none",
      daysOfHistory: 0,
    });
    expect(forecastMonth(monday({ history: days(3, () => 7n) }, 20)).confidence).to.equal("low");
    expect(forecastMonth(monday({ history: days(14, () => 7n) }, 20)).confidence).to.equal("medium");
  });

  it("at the end of the month is what was spent", () => {
    fc.assert(
      fc.property(input, (given) => {
        const { spent, expected, low, high } = forecastMonth({ ...given, leftOfToday: 0n, ahead: [] });
        expect(expected).to.equal(spent);
        if (low !== null) expect([low, high]).to.deep.equal([spent, spent]);
      }),
    );
  });

  it("is never below what is spent, and lies within its range", () => {
    fc.assert(
      fc.property(input, (given) => {
        const { spent, expected, low, high } = forecastMonth(given);
        expect(expected >= spent).to.equal(true);
        if (low === null || high === null) return;
        expect(low >= spent && low <= expected && expected <= high).to.equal(true);
      }),
    );
  });

  it("grows with what is spent, with the days to come and with the history", () => {
    fc.assert(
      fc.property(input, cost, (given, more) => {
        const { expected } = forecastMonth(given);
        expect(forecastMonth({ ...given, spent: given.spent + more }).expected).to.equal(expected + more);
        expect(forecastMonth({ ...given, ahead: [...given.ahead, 3] }).expected >= expected).to.equal(true);
        const dearer = given.history.map((day) => ({ ...day, cost: day.cost + more }));
        expect(forecastMonth({ ...given, history: dearer }).expected >= expected).to.equal(true);
      }),
    );
  });

  it("does not depend on the order of the weeks", () => {
    fc.assert(
      fc.property(fc.array(cost, { minLength: 14, maxLength: 14 }), (costs) => {
        const history = days(14, (_, n) => costs[n]!);
        const swapped = [...history.slice(7), ...history.slice(0, 7)];
        expect(forecastMonth(monday({ history: swapped }, 20))).to.deep.equal(forecastMonth(monday({ history }, 20)));
      }),
    );
  });

  it("rests on whole roots", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 60n }), (value) => {
        const root = squareRoot(value);
        expect(root * root <= value && (root + 1n) * (root + 1n) > value).to.equal(true);
      }),
    );
  });
});
