import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { credit, useLedger } from "./support.ts";

describe("a shortfall", () => {
  const rig = useLedger();

  /** Charges what never had a hold. */
  const charge = async (walletId: bigint, cost: bigint, id: string = uuidv7()) =>
    (await rig.settle({ walletId, cost, id, holdId: null }))[0]!;

  it("is the part of a cost that the wallet does not have; the wallet gives what it has and never goes below zero", async () => {
    const wallet = await rig.wallet(50n);
    expect(await charge(wallet, 93n)).to.include({ charged: 50n, owed: 43n, uncharged: 0n, balanceAfter: 0n, holdMissing: false });
    expect(await rig.ledger.balance(wallet)).to.include({ total: 0n, available: 0n, shortfall: 43n });
  });

  it("is made once, however often its item is settled", async () => {
    const wallet = await rig.wallet(50n);
    const first = await charge(wallet, 93n, "twice");
    expect(await charge(wallet, 93n, "twice")).to.deep.equal({ ...first, replayed: true });
    expect((await rig.ledger.balance(wallet)).shortfall).to.equal(43n);
  });

  it("is paid by the next credit before anything else, also when that is given twice", async () => {
    const wallet = await rig.wallet(50n);
    const { id } = await charge(wallet, 93n);
    const topUp = credit(wallet, 100n);
    const first = await rig.ledger.credit(rig.pool, topUp);
    expect(first).to.include({ balance: 57n, replayed: false });
    expect(await rig.ledger.credit(rig.pool, topUp)).to.include({ balance: 57n, replayed: true });
    expect(await rig.ledger.balance(wallet)).to.include({ total: 57n, shortfall: 0n });
    const [shortfall] = await rig.ledger.shortfalls([id]);
    expect(shortfall).to.include({ id, amount: 43n, collected: 43n });
    expect(shortfall!.collectedAt).to.be.instanceOf(Date);
  });

  it("is paid bit by bit, the oldest first", async () => {
    const wallet = await rig.wallet();
    const [older, newer] = [await charge(wallet, 30n), await charge(wallet, 20n)];
    await rig.ledger.credit(rig.pool, credit(wallet, 35n));
    const shortfalls = await rig.ledger.shortfalls([older.id, newer.id]);
    expect(shortfalls.map(({ id, collected }) => [id, collected])).to.have.deep.members([
      [older.id, 30n],
      [newer.id, 5n],
    ]);
    expect(await rig.ledger.balance(wallet)).to.include({ total: 0n, shortfall: 15n });
  });

  it("is paid by a credit that was not made through the ledger's own function", async () => {
    const wallet = await rig.wallet();
    await charge(wallet, 30n);
    await rig.psql(
      `INSERT INTO ledger_transfers (id, debit_account, credit_account, amount, type, description, debit_balance_after, credit_balance_after, source, priority)
       SELECT 'many:${uuidv7()}', a.id, ${wallet}, 40, 'ALLOWANCE', 'a batch of allowances', a.balance - 40, 40, 'allowance', 10
       FROM ledger_accounts a WHERE a.code = 'adjustments'`,
    );
    expect(await rig.ledger.balance(wallet)).to.include({ total: 10n, shortfall: 0n });
  });

  it("refuses every hold until it is paid, and says how much that is", async () => {
    const wallet = await rig.wallet(10n);
    await charge(wallet, 30n);
    expect(await rig.hold(wallet, 5n)).to.include({ kind: "refused", reason: "insufficient_balance", owed: 20n, shortfall: 25n });
    expect(await rig.hold(wallet, 0n)).to.include({ kind: "refused", reason: "insufficient_balance", owed: 20n, shortfall: 20n });
    await rig.ledger.credit(rig.pool, credit(wallet, 20n));
    expect(await rig.hold(wallet, 0n)).to.include({ kind: "held" });
  });

  it("leaves running calls their holds, and is paid by what they leave", async () => {
    const wallet = await rig.wallet(100n);
    const settled = await rig.hold(wallet, 60n);
    const released = await rig.hold(wallet, 40n);
    expect(await charge(wallet, 70n)).to.include({ charged: 0n, owed: 70n });
    expect((await rig.settle({ walletId: wallet, cost: 25n, id: settled.id }))[0]).to.include({ charged: 25n, owed: 0n });
    expect(await rig.ledger.balance(wallet)).to.include({ total: 40n, held: 40n, shortfall: 35n });
    await rig.ledger.release([released.id]);
    expect(await rig.ledger.balance(wallet)).to.include({ total: 5n, held: 0n, shortfall: 0n });
  });

  it("is the rest of what could not be capped, too: hold, tolerance and all that is free are not enough", async () => {
    const wallet = await rig.wallet(1_000n);
    const budgets = [{ id: `key:${uuidv7()}`, period: "total", limit: 600n }];
    const { id } = await rig.hold(wallet, 500n, { budgets });
    const [settled] = await rig.settle({ walletId: wallet, cost: 1_300n, id, owes: true });
    expect(settled).to.include({ charged: 1_000n, owed: 300n, uncharged: 0n, balanceAfter: 0n, holdMissing: false });
    expect(await rig.ledger.balance(wallet)).to.include({ total: 0n, held: 0n, shortfall: 300n });
    // What is owed is spent: a limit counts it like what was paid.
    expect(await rig.ledger.budgets(budgets)).to.deep.equal([{ spent: 1_300n, held: 0n }]);
    expect((await rig.ledger.incidents({ page: 1, pageSize: 100 })).items.filter(({ reference }) => reference === id)).to.deep.equal([]);
    await rig.ledger.credit(rig.pool, credit(wallet, 400n));
    expect(await rig.ledger.balance(wallet)).to.include({ total: 100n, shortfall: 0n });
  });

  it("of what could not be capped leaves other calls their holds, and is none when the wallet has it", async () => {
    const wallet = await rig.wallet(1_000n);
    const [big, other] = [await rig.hold(wallet, 100n), await rig.hold(wallet, 300n)];
    expect((await rig.settle({ walletId: wallet, cost: 700n, id: big.id, owes: true }))[0]).to.include({ charged: 700n, owed: 0n });
    const late = await rig.settle({ walletId: wallet, cost: 50n, id: uuidv7(), holdId: uuidv7(), owes: true });
    expect(late[0]).to.include({ charged: 0n, owed: 50n, holdMissing: true });
    expect(await rig.ledger.balance(wallet)).to.include({ total: 300n, held: 300n, shortfall: 50n });
    await rig.ledger.release([other.id]);
    expect(await rig.ledger.balance(wallet)).to.include({ total: 250n, shortfall: 0n });
  });

  it("stands in the history beside what was charged", async () => {
    const wallet = await rig.wallet(50n);
    const { id } = await charge(wallet, 93n);
    await rig.ledger.credit(rig.pool, credit(wallet, 100n));
    const { items, total } = await rig.ledger.history(wallet, {}, { page: 1, pageSize: 10 });
    expect(total).to.equal(5);
    expect(items.map((item) => [item.id.split(":")[0], item.amount, item.owed, item.balanceAfter])).to.deep.equal([
      ["collect", -43n, undefined, 57n],
      ["test", 100n, undefined, 100n],
      ["shortfall", 0n, 43n, 0n],
      ["usage", -50n, undefined, 0n],
      ["test", 50n, undefined, 50n],
    ]);
    expect(items.filter((item) => item.reference === id)).to.have.length(3);
  });

  it("cannot be written, forgiven or forgotten by hand", async () => {
    const wallet = await rig.wallet(10n);
    const { id } = await charge(wallet, 30n);
    const refused = async (sql: string) =>
      expect(await rig.psql(sql).then(String, (error: Error) => error.message), sql).to.contain("is refused");
    await refused(`INSERT INTO ledger_shortfalls (id, seq, wallet_id, amount) VALUES ('made-up', 1, ${wallet}, 5)`);
    await refused(`UPDATE ledger_shortfalls SET collected = amount, collected_at = now() WHERE id = '${id}'`);
    await refused(`UPDATE ledger_shortfalls SET amount = 1 WHERE id = '${id}'`);
    await refused(`DELETE FROM ledger_shortfalls WHERE id = '${id}'`);
    await refused(`UPDATE ledger_accounts SET shortfall = 0 WHERE id = ${wallet}`);
  });
});
