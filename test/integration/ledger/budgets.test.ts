import { expect } from "chai";
import { createLedger, type Budget } from "../../../src/ledger/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { refusal } from "./errors.ts";
import { openLedger, TOLERANCE, useLedger } from "./support.ts";

/** A server whose messages are not English does not know the ledger's own statements by their context. */
const UNKNOWN = (definition: string) => definition.replaceAll("'SQL statement \"UPDATE", "'SQL-Anweisung \"UPDATE");

const TODAY = "d:2026-11-21";
const TOMORROW = "d:2026-11-22";

describe("budgets", () => {
  const rig = useLedger();
  const budget = (limit: bigint, more: Partial<Budget> = {}): Budget => ({ id: `key:${uuidv7()}`, period: TODAY, limit, ...more });
  const state = async (...budgets: Budget[]) => (await rig.ledger.budgets(budgets)).map((one) => one && [one.spent, one.held]);

  it("200 calls at once on a budget for 50: exactly 50 run, whoever of several copies they ask", async () => {
    const wallet = await rig.wallet(1_000_000n);
    const daily = budget(5_000n);
    const copies = [rig, openLedger(rig.url), openLedger(rig.url)];
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        copies[i % 3]!.ledger.authorize({
          id: uuidv7(),
          walletId: wallet,
          amount: 100n,
          budgets: [budget(1_000_000n), daily],
          owner: "test",
          ttlMs: 60_000,
        }),
      ),
    );
    const refused = outcomes.filter((outcome) => outcome.kind === "refused");
    expect(refused).to.have.length(150);
    const full = { ...daily, spent: 0n, held: 5_000n };
    for (const outcome of refused) expect(outcome).to.deep.include({ reason: "spend_limit_on_hold", budget: full, shortfall: 100n });
    expect(await state(daily)).to.deep.equal([[0n, 5_000n]]);
    await Promise.all(copies.slice(1).map((copy) => copy.ledger.close().then(() => copy.pool.end())));
  });

  it("a budget that was spent and one whose rest is held by running calls are told apart", async () => {
    const wallet = await rig.wallet(10_000n);
    const daily = budget(100n);
    const running = await rig.hold(wallet, 60n, { budgets: [daily] });
    expect(await rig.hold(wallet, 50n, { budgets: [daily] })).to.include({ reason: "spend_limit_on_hold", shortfall: 10n });
    expect(await rig.hold(wallet, 101n, { budgets: [daily] })).to.include({ reason: "spend_limit_reached", shortfall: 61n });
    await rig.settle({ walletId: wallet, id: running.id, cost: 55n });
    const refused = await rig.hold(wallet, 50n, { budgets: [budget(1_000n), daily] });
    expect(refused).to.deep.include({ reason: "spend_limit_reached", budget: { ...daily, spent: 55n, held: 0n }, shortfall: 5n });
    expect(await rig.hold(wallet, 45n, { budgets: [daily] })).to.include({ kind: "held" });
  });

  it("an empty wallet is said before a budget, and a wallet may refuse what its budgets allow", async () => {
    const wallet = await rig.wallet(100n);
    expect(await rig.hold(wallet, 200n, { budgets: [budget(50n)] })).to.include({ reason: "insufficient_balance", shortfall: 100n });
    await rig.hold(wallet, 80n);
    expect(await rig.hold(wallet, 30n, { budgets: [budget(50n)] })).to.include({ reason: "balance_on_hold", shortfall: 10n });
  });

  it("a hold that may be smaller shrinks to what wallet and budgets leave", async () => {
    const wallet = await rig.wallet(1_000n);
    const [daily, monthly] = [budget(100n), budget(70n, { period: "m:2026-11" })];
    await rig.hold(wallet, 30n, { budgets: [daily, monthly] });
    expect(await rig.hold(wallet, 500n, { minAmount: 10n, budgets: [daily, monthly] })).to.deep.include({ kind: "held", amount: 40n });
    expect(await rig.hold(wallet, 500n, { minAmount: 10n, budgets: [daily] })).to.include({ kind: "held", amount: 30n });
    expect(await rig.hold(wallet, 5_000n, { minAmount: 10n, budgets: [budget(10_000n)] })).to.include({ kind: "held", amount: 900n });
    expect(await state(daily, monthly)).to.deep.equal([
      [0n, 100n],
      [0n, 70n],
    ]);
  });

  it("each call of a batch is decided on its own", async () => {
    const wallet = await rig.wallet(10_000n);
    const daily = budget(100n);
    const amounts = [70n, 200n, 40n, 30n, 1n];
    const outcomes = await Promise.all(amounts.map((amount) => rig.hold(wallet, amount, { budgets: [daily] })));
    expect(outcomes.map((outcome) => outcome.kind)).to.deep.equal(["held", "refused", "refused", "held", "refused"]);
    const mixed = await Promise.all([rig.hold(wallet, 9_000n), rig.hold(wallet, 1n, { budgets: [daily] }), rig.hold(wallet, 1n)]);
    expect(mixed.map((outcome) => outcome.kind)).to.deep.equal(["held", "refused", "held"]);
  });

  it("what a call costs counts in the period in which it began, also above what was held", async () => {
    const wallet = await rig.wallet(10_000n);
    const [today, month] = [budget(100n), budget(1_000n, { period: "m:2026-11" })];
    const tomorrow = { ...today, period: TOMORROW };
    const late = await rig.hold(wallet, 90n, { budgets: [today, month] });
    await rig.hold(wallet, 20n, { budgets: [tomorrow, month] });
    await rig.settle({ walletId: wallet, id: late.id, cost: 130n });
    expect(await state(today, tomorrow, month)).to.deep.equal([
      [130n, 0n],
      [0n, 20n],
      [130n, 20n],
    ]);
    expect(await rig.hold(wallet, 1n, { budgets: [today] })).to.include({ reason: "spend_limit_reached", shortfall: 1n });
    expect(await rig.hold(wallet, 0n, { budgets: [today] })).to.include({ kind: "held", amount: 0n });
  });

  it("released and swept holds give back what they held of a budget", async () => {
    const wallet = await rig.wallet(1_000n);
    const daily = budget(100n);
    const [released, swept] = [await rig.hold(wallet, 40n, { budgets: [daily] }), await rig.hold(wallet, 60n, { budgets: [daily] })];
    await Promise.all([rig.ledger.release([released.id]), rig.ledger.release([released.id])]);
    expect(await state(daily)).to.deep.equal([[0n, 60n]]);
    await rig.ledger.sweep(new Date(Date.now() + 120_000));
    expect(await state(daily)).to.deep.equal([[0n, 0n]]);
    // Its call turns up after all: it is charged and counts.
    await rig.settle({ walletId: wallet, id: swept.id, cost: 25n });
    expect(await state(daily)).to.deep.equal([[25n, 0n]]);
  });

  it("the same call asked or settled again counts once", async () => {
    const wallet = await rig.wallet(1_000n);
    const daily = budget(100n);
    const id = uuidv7();
    await Promise.all(Array.from({ length: 10 }, () => rig.hold(wallet, 60n, { id, budgets: [daily] })));
    expect(await state(daily)).to.deep.equal([[0n, 60n]]);
    const once = { walletId: wallet, id, cost: 50n };
    await rig.settle(once, once);
    await rig.settle(once);
    expect(await state(daily)).to.deep.equal([[50n, 0n]]);
  });

  it("a limit set in the middle of a period knows what was spent before; many calls at once ask once", async () => {
    const asked: [string, Date][] = [];
    const ledger = createLedger({
      pool: rig.pool,
      log: createLogger({ level: "silent", name: "test" }),
      tolerance: TOLERANCE,
      async spentSince(id, since) {
        asked.push([id, since]);
        return 70n;
      },
    });
    const wallet = await rig.wallet(1_000n);
    const since = new Date("2026-11-21T00:00:00Z");
    const [daily, own] = [budget(100n, { since }), budget(100n, { id: `token:${uuidv7()}`, period: "to:2026-11-23" })];
    const hold = () =>
      ledger.authorize({ id: uuidv7(), walletId: wallet, amount: 10n, budgets: [daily, own], owner: "test", ttlMs: 60_000 });
    const outcomes = await Promise.all(Array.from({ length: 5 }, hold));
    expect(outcomes.filter((outcome) => outcome.kind === "held")).to.have.length(3);
    expect(asked).to.deep.equal([[daily.id, since]]);
    expect(await state(daily, own)).to.deep.equal([
      [70n, 30n],
      [0n, 30n],
    ]);
    await ledger.close();
  });

  it("counters are forgotten when their period is long over and nothing is held on them, totals never", async () => {
    const wallet = await rig.wallet(1_000n);
    const old = budget(100n, { period: "d:2020-02-29" });
    const oldMonth = { ...old, period: "m:2020-02" };
    const oldToken = { ...old, period: "to:2020-02-29" };
    const total = { ...old, period: "total" };
    const open = budget(100n, { period: "d:2020-02-29" });
    const past = await rig.hold(wallet, 10n, { budgets: [old, oldMonth, oldToken, total] });
    await rig.hold(wallet, 10n, { budgets: [open] });
    await rig.settle({ walletId: wallet, id: past.id, cost: 10n });
    await rig.ledger.forgetBudgets(new Date("2020-02-29T00:00:00Z"));
    expect(await state(old)).to.deep.equal([[10n, 0n]]);
    await rig.ledger.forgetBudgets(new Date("2020-04-01T00:00:00Z"));
    expect(await state(old, oldMonth, oldToken, total, open)).to.deep.equal([undefined, undefined, undefined, [10n, 0n], [0n, 10n]]);
  });

  it("a budget that cannot be is refused alone, not with its batch", async () => {
    const wallet = await rig.wallet(1_000n);
    const bad: Partial<Budget>[] = [{ id: "nobody" }, { period: "y:2026" }, { limit: -1n }];
    const [good, ...refused] = await Promise.allSettled([
      rig.hold(wallet, 1n, { budgets: [budget(10n)] }),
      ...bad.map((one) => rig.hold(wallet, 1n, { budgets: [budget(10n, one)] })),
    ]);
    expect(good).to.have.property("status", "fulfilled");
    expect(refused.map((one) => one.status)).to.deep.equal(["rejected", "rejected", "rejected"]);
  });

  it("a hold says what the wallet has left", async () => {
    const [wallet, other] = [await rig.wallet(1_000n), await rig.wallet(50n)];
    expect(await rig.hold(wallet, 300n)).to.include({ kind: "held", available: 700n });
    const both = await Promise.all([rig.hold(wallet, 200n), rig.hold(other, 20n)]);
    expect(both.map((outcome) => outcome.kind === "held" && outcome.available)).to.deep.equal([500n, 30n]);
    const partial = await Promise.all([rig.hold(wallet, 100n), rig.hold(other, 40n, { minAmount: 1n })]);
    expect(partial.map((outcome) => outcome.kind === "held" && outcome.available)).to.deep.equal([400n, 0n]);
  });
});

describe("budgets on a server that speaks another language", () => {
  const rig = useLedger();

  it("are counted and guarded all the same", async () => {
    const { rows } = await rig.pool.query<{ definition: string }>(
      "SELECT pg_get_functiondef('ledger_check_budgets'::regproc) AS definition",
    );
    const changed = UNKNOWN(rows[0]!.definition);
    expect(changed).to.not.equal(rows[0]!.definition);
    await rig.psql(changed);
    const wallet = await rig.wallet(10_000n);
    const budgets: Budget[] = ["total", TODAY].map((period) => ({ id: "key:elsewhere", period, limit: 500n }));
    const holds = await Promise.all(Array.from({ length: 8 }, () => rig.hold(wallet, 60n, { budgets })));
    expect(holds.map((hold) => hold.kind)).to.deep.equal(Array.from({ length: 8 }, () => "held"));
    await rig.settle(...holds.slice(0, 3).map(({ id }) => ({ walletId: wallet, id, cost: 50n })));
    await rig.ledger.release(holds.slice(3, 5).map((hold) => hold.id));
    expect(await rig.ledger.budgets(budgets)).to.deep.equal(budgets.map(() => ({ spent: 150n, held: 180n })));
    expect(await refusal(rig.psql("UPDATE ledger_budgets SET spent = 0"))).to.match(/^23/);
    expect(await refusal(rig.psql("UPDATE ledger_budgets SET held = held - 60"))).to.match(/^23/);
  });
});
