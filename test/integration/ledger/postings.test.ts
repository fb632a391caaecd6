import { expect } from "chai";
import type { Credit } from "../../../src/ledger/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { refusal } from "./errors.ts";
import { credit, useLedger } from "./support.ts";

describe("credit and debit", () => {
  const rig = useLedger();

  it("a wallet is opened once, however often it is asked for at once", async () => {
    const owner = { type: "team", id: uuidv7() } as const;
    const ids = await Promise.all(Array.from({ length: 20 }, () => rig.ledger.ensureWallet(rig.pool, owner)));
    expect(new Set(ids).size).to.equal(1);
    expect(await rig.ledger.balance(ids[0]!)).to.deep.equal({ total: 0n, held: 0n, available: 0n, shortfall: 0n, sources: [] });
  });

  it("the same credit a hundred times at once is credited once", async () => {
    const wallet = await rig.wallet();
    const order = credit(wallet, 500n);
    const results = await Promise.all(Array.from({ length: 100 }, () => rig.ledger.credit(rig.pool, order)));
    expect(results.filter((result) => !result.replayed)).to.have.length(1);
    expect(new Set(results.map((result) => result.balance))).to.deep.equal(new Set([500n]));
    expect((await rig.ledger.balance(wallet)).total).to.equal(500n);
  });

  it("an id used again with other content is refused", async () => {
    const [wallet, other] = [await rig.wallet(), await rig.wallet()];
    const order = credit(wallet, 500n);
    await rig.ledger.credit(rig.pool, order);
    const changes: Partial<Credit>[] = [
      { amount: 501n },
      { walletId: other },
      { from: "clearing:other" },
      { source: "bonus" },
      { type: "BONUS" },
    ];
    for (const change of changes) {
      expect(await refusal(rig.ledger.credit(rig.pool, { ...order, ...change }))).to.equal("idempotency_mismatch");
    }
    expect((await rig.ledger.balance(other)).total).to.equal(0n);
  });

  it("a debit takes what is not held, once per id, and says what is missing", async () => {
    const wallet = await rig.wallet(100n);
    await rig.hold(wallet, 30n);
    const debit = {
      id: `test:${uuidv7()}`,
      walletId: wallet,
      amount: 60n,
      to: "adjustments",
      type: "ADMIN",
      description: "taken back",
    } as const;
    expect(await rig.ledger.debit(rig.pool, debit)).to.deep.include({ kind: "ok", balance: 40n, replayed: false });
    expect(await rig.ledger.debit(rig.pool, debit)).to.deep.include({ kind: "ok", balance: 40n, replayed: true });
    const more = await rig.ledger.debit(rig.pool, { ...debit, id: `test:${uuidv7()}`, amount: 11n });
    expect(more).to.deep.equal({ kind: "refused", available: 10n, shortfall: 1n });
    expect(await refusal(rig.ledger.debit(rig.pool, { ...debit, amount: 61n }))).to.equal("idempotency_mismatch");
  });

  it("a refund burns the grant that was bought and no other", async () => {
    const wallet = await rig.wallet();
    const bought = credit(wallet, 100n);
    await rig.ledger.credit(rig.pool, bought);
    await rig.ledger.credit(rig.pool, { ...credit(wallet, 50n), source: "bonus", type: "BONUS" });
    await rig.settle({ walletId: wallet, cost: 70n });
    const refund = { walletId: wallet, to: "refunds", type: "REFUND", description: "refund", grantOf: bought.id } as const;
    expect(await rig.ledger.debit(rig.pool, { ...refund, id: `test:${uuidv7()}`, amount: 81n })).to.include({
      kind: "refused",
      available: 80n,
    });
    expect(await rig.ledger.debit(rig.pool, { ...refund, id: `test:${uuidv7()}`, amount: 80n })).to.include({ kind: "ok", balance: 0n });
  });

  it("a wallet that does not exist is not found, and nothing is posted", async () => {
    expect(await refusal(rig.ledger.credit(rig.pool, credit(999_999n, 1n)))).to.equal("not_found");
    expect(await refusal(rig.ledger.balance(999_999n))).to.equal("not_found");
    expect(await refusal(rig.settle({ walletId: 999_999n, cost: 1n }))).to.equal("not_found");
  });

  it("a system account cannot be a wallet, nor a wallet pay as a system account", async () => {
    const wallet = await rig.wallet(100n);
    const owner = await rig.pool.query<{ code: string }>("SELECT code FROM ledger_accounts WHERE id = $1", [wallet]);
    expect(await refusal(rig.ledger.credit(rig.pool, { ...credit(await rig.wallet(), 1n), from: owner.rows[0]!.code }))).to.be.a("string");
    const system = await rig.pool.query<{ id: bigint }>("SELECT id FROM ledger_accounts WHERE code = 'adjustments'");
    expect(await refusal(rig.ledger.credit(rig.pool, credit(system.rows[0]!.id, 1n)))).to.equal("not_found");
  });

  it("the balance names its sources in the order in which they are spent", async () => {
    const wallet = await rig.wallet(100n);
    const expiresAt = new Date("2100-01-01T00:00:00Z");
    await rig.ledger.credit(rig.pool, { ...credit(wallet, 7n), source: "checkin", type: "CHECKIN" });
    await rig.ledger.credit(rig.pool, { ...credit(wallet, 20n), source: "allowance", type: "ALLOWANCE", expiresAt });
    expect((await rig.ledger.balance(wallet)).sources).to.deep.equal([
      { source: "allowance", amount: 20n, expiresAt },
      { source: "checkin", amount: 7n, expiresAt: null },
      { source: "purchase", amount: 100n, expiresAt: null },
    ]);
  });

  it("the history shows both directions newest first, with the balance after each, by type and time", async () => {
    const wallet = await rig.wallet(100n);
    await rig.settle({ walletId: wallet, cost: 30n }, { walletId: wallet, cost: 5n });
    const all = await rig.ledger.history(wallet, {}, { page: 1, pageSize: 20 });
    expect(all.items.map((item) => [item.type, item.amount, item.balanceAfter])).to.deep.equal([
      ["CONSUMPTION", -5n, 65n],
      ["CONSUMPTION", -30n, 70n],
      ["PURCHASE", 100n, 100n],
    ]);
    expect(all.total).to.equal(3);
    const second = await rig.ledger.history(wallet, { types: ["CONSUMPTION"] }, { page: 2, pageSize: 1 });
    expect(second).to.deep.include({ total: 2 });
    expect(second.items.map((item) => item.amount)).to.deep.equal([-30n]);
    expect(await rig.ledger.history(wallet, { to: new Date(0) }, { page: 1, pageSize: 20 })).to.deep.equal({ items: [], total: 0 });
    const one = all.items[0]!;
    expect((await rig.ledger.history(wallet, { reference: one.reference! }, { page: 1, pageSize: 20 })).items).to.deep.equal([one]);
  });
});
