import { expect } from "chai";
import fc from "fast-check";
import { burnDown, chargeFor, decideHold, expireDue, type Spendable, toleranceOf } from "../../../src/ledger/rules.ts";

const day = (n: number) => new Date(Date.UTC(2030, 0, n));
const grant = (id: number, remaining: number, priority = 50, expiresAt: Date | null = null): Spendable => ({
  id: BigInt(id),
  remaining: BigInt(remaining),
  priority,
  expiresAt,
});

const amounts = fc.bigInt({ min: 0n, max: 10n ** 12n });
const grants = fc
  .array(
    fc.record({
      remaining: fc.bigInt({ min: 0n, max: 1_000n }),
      priority: fc.integer({ min: 1, max: 3 }),
      expiresAt: fc.option(fc.integer({ min: 1, max: 4 }).map(day), { nil: null }),
    }),
    { maxLength: 12 },
  )
  .map((list) => list.map((one, i): Spendable => ({ id: BigInt(i + 1), ...one })));
const left = (list: readonly Spendable[]) => list.reduce((sum, one) => sum + one.remaining, 0n);

describe("the order in which credit is spent", () => {
  it("spends by priority, then what expires first, then the oldest", () => {
    const wallet = [grant(1, 10), grant(2, 10), grant(3, 10, 50, day(9)), grant(4, 10, 50, day(2)), grant(5, 10, 10)];
    expect(burnDown(wallet, 45n).map((burn) => [Number(burn.id), Number(burn.amount)])).to.deep.equal([
      [5, 10],
      [4, 10],
      [3, 10],
      [1, 10],
      [2, 5],
    ]);
  });

  it("refuses to spend more than there is", () => {
    expect(() => burnDown([grant(1, 5)], 6n)).to.throw("lack 1");
  });

  it("spends exactly what is asked, never more of a grant than it has, and no later grant before an earlier one is empty", () => {
    fc.assert(
      fc.property(grants, fc.nat(10_000), (list, share) => {
        const amount = (left(list) * BigInt(share)) / 10_000n;
        const burns = burnDown(list, amount);
        expect(burns.reduce((sum, burn) => sum + burn.amount, 0n)).to.equal(amount);
        for (const [i, burn] of burns.entries()) {
          const from = list.find((one) => one.id === burn.id)!;
          expect(burn.amount <= from.remaining).to.equal(true);
          if (i < burns.length - 1) expect(burn.amount).to.equal(from.remaining);
        }
        expect(new Set(burns.map((burn) => burn.id)).size).to.equal(burns.length);
      }),
    );
  });
});

describe("expiry", () => {
  it("takes what is due and leaves what open holds still need", () => {
    const wallet = [grant(1, 100), grant(2, 50, 10, day(1)), grant(3, 50, 10, day(5))];
    expect(expireDue(wallet, { available: 200n }, day(2))).to.deep.equal([{ id: 2n, amount: 50n }]);
    expect(expireDue(wallet, { available: 30n }, day(2))).to.deep.equal([{ id: 2n, amount: 30n }]);
    expect(expireDue(wallet, { available: 0n }, day(2))).to.deep.equal([]);
  });

  it("never takes credit that is not due, nor more than is available", () => {
    fc.assert(
      fc.property(grants, amounts, (list, available) => {
        const taken = expireDue(list, { available: available < left(list) ? available : left(list) }, day(2));
        expect(taken.reduce((sum, burn) => sum + burn.amount, 0n) <= available).to.equal(true);
        for (const burn of taken) expect(list.find((one) => one.id === burn.id)!.expiresAt! <= day(2)).to.equal(true);
      }),
    );
  });
});

describe("deciding a hold", () => {
  const rich = { total: 100n, available: 90n };
  const budget = (limit: bigint, spent: bigint, held: bigint) => ({ id: "key:k", period: "total", limit, spent, held });
  const table: [string, Parameters<typeof decideHold>, ReturnType<typeof decideHold>][] = [
    ["holds what is asked when it is covered", [{ amount: 5n }, { total: 5n, available: 5n }], { kind: "held", amount: 5n, available: 0n }],
    [
      "holds nothing of an empty wallet for a free call",
      [{ amount: 0n }, { total: 0n, available: 0n }],
      { kind: "held", amount: 0n, available: 0n },
    ],
    [
      "holds what is there when that is enough to be useful",
      [
        { amount: 9n, minAmount: 3n },
        { total: 9n, available: 4n },
      ],
      { kind: "held", amount: 4n, available: 0n },
    ],
    [
      "says that the wallet is too empty",
      [{ amount: 9n }, { total: 8n, available: 2n }],
      { kind: "refused", reason: "insufficient_balance", available: 2n, total: 8n, shortfall: 7n },
    ],
    [
      "says that other calls hold the credit",
      [
        { amount: 9n, minAmount: 3n },
        { total: 9n, available: 2n },
      ],
      { kind: "refused", reason: "balance_on_hold", available: 2n, total: 9n, shortfall: 1n },
    ],
    [
      "holds what the tightest budget leaves when that is enough to be useful",
      [
        { amount: 9n, minAmount: 3n },
        { ...rich, budgets: [budget(20n, 5n, 2n), budget(10n, 4n, 2n)] },
      ],
      { kind: "held", amount: 4n, available: 86n },
    ],
    [
      "names the budget that was spent",
      [
        { amount: 9n, minAmount: 3n },
        { ...rich, budgets: [budget(20n, 5n, 2n), budget(10n, 8n, 2n)] },
      ],
      { kind: "refused", reason: "spend_limit_reached", budget: budget(10n, 8n, 2n), shortfall: 3n },
    ],
    [
      "says that other calls hold what is left of a budget",
      [{ amount: 9n }, { ...rich, budgets: [budget(20n, 5n, 2n), budget(10n, 1n, 1n)] }],
      { kind: "refused", reason: "spend_limit_on_hold", budget: budget(10n, 1n, 1n), shortfall: 1n },
    ],
    [
      "says what will not change by itself first",
      [{ amount: 9n }, { total: 100n, available: 2n, budgets: [budget(10n, 1n, 1n), budget(20n, 12n, 0n)] }],
      { kind: "refused", reason: "spend_limit_reached", budget: budget(20n, 12n, 0n), shortfall: 1n },
    ],
    [
      "lets a free call pass where a budget is overspent",
      [{ amount: 0n }, { ...rich, budgets: [budget(10n, 12n, 0n)] }],
      { kind: "held", amount: 0n, available: 90n },
    ],
  ];
  for (const [name, [ask, wallet], outcome] of table) it(name, () => expect(decideHold(ask, wallet)).to.deep.equal(outcome));
});

describe("what a call is charged", () => {
  const tolerance = { percent: 10, micro: 50n };
  const table: [string, { cost: bigint; held: bigint | undefined; owes?: boolean }, bigint, bigint][] = [
    ["its cost when the hold covers it", { cost: 93n, held: 100n }, 0n, 93n],
    ["nothing when it cost nothing", { cost: 0n, held: 100n }, 900n, 0n],
    ["above the hold within the tolerance", { cost: 140n, held: 100n }, 900n, 140n],
    ["never above hold and tolerance", { cost: 500n, held: 100n }, 900n, 150n],
    ["never more than the wallet has", { cost: 500n, held: 100n }, 20n, 120n],
    ["by the percentage when that is the larger tolerance", { cost: 5_000n, held: 1_000n }, 900n, 1_100n],
    ["all that the wallet has, when nothing could cap it", { cost: 500n, held: 100n, owes: true }, 320n, 420n],
    ["its cost when nothing could cap it and the wallet has that", { cost: 500n, held: 100n, owes: true }, 900n, 500n],
    ["what is available when its hold is gone", { cost: 500n, held: undefined }, 320n, 320n],
  ];
  for (const [name, call, available, charge] of table) {
    it(name, () => expect(chargeFor(call, { available }, tolerance)).to.equal(charge));
  }

  it("is never above cost, hold and tolerance, or hold and what is available, and always the most of these", () => {
    const rule = fc.record({ percent: fc.integer({ min: 0, max: 100 }), micro: amounts });
    fc.assert(
      fc.property(amounts, amounts, amounts, rule, (cost, held, available, limits) => {
        const charge = chargeFor({ cost, held }, { available }, limits);
        const caps = [cost, held + toleranceOf(held, limits), held + available];
        expect(caps.every((cap) => charge <= cap)).to.equal(true);
        expect(caps).to.include(charge);
      }),
    );
  });
});
