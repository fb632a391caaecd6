import { expect } from "chai";
import { inTransaction, isLockTimeout } from "../../../src/platform/postgres.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { credit, usageItem, useLedger } from "./support.ts";

describe("settling", () => {
  const rig = useLedger();

  async function heldCall(amount: bigint, held: bigint) {
    const walletId = await rig.wallet(amount);
    const { id } = await rig.hold(walletId, held);
    return { walletId, id };
  }

  it("charges the cost, closes the hold and gives the rest back", async () => {
    const call = await heldCall(1_000n, 200n);
    const [result] = await rig.settle({ ...call, cost: 93n });
    expect(result).to.deep.equal({
      id: call.id,
      charged: 93n,
      uncharged: 0n,
      owed: 0n,
      balanceAfter: 907n,
      replayed: false,
      holdMissing: false,
    });
    expect(await rig.ledger.balance(call.walletId)).to.include({ total: 907n, held: 0n, available: 907n });
  });

  it("charges once, also when the same event comes again, in one batch, at the same time, or cost nothing", async () => {
    for (const cost of [93n, 0n]) {
      const call = await heldCall(1_000n, 200n);
      const rounds = await Promise.all([
        rig.settle({ ...call, cost }, { ...call, cost }),
        rig.settle({ ...call, cost }),
        rig.settle({ ...call, cost }),
      ]);
      const results = rounds.flat();
      expect(results.filter((result) => !result.replayed)).to.have.length(1);
      for (const result of results) expect(result).to.include({ charged: cost, balanceAfter: 1_000n - cost, holdMissing: false });
      expect(await rig.ledger.balance(call.walletId)).to.include({ total: 1_000n - cost, held: 0n });
    }
  });

  it("a cost above the hold is charged up to the tolerance and the wallet; the rest is an incident", async () => {
    const rich = await heldCall(10_000n, 1_000n);
    const poor = await heldCall(1_010n, 1_000n);
    const results = await rig.settle({ ...rich, cost: 5_000n }, { ...poor, cost: 5_000n });
    expect(results.map(({ charged, uncharged }) => ({ charged, uncharged }))).to.deep.equal([
      { charged: 1_100n, uncharged: 3_900n },
      { charged: 1_010n, uncharged: 3_990n },
    ]);
    const { items } = await rig.ledger.incidents({ page: 1, pageSize: 10 });
    expect(items.filter((one) => one.kind === "uncharged").map((one) => one.reference)).to.have.members([rich.id, poor.id]);
  });

  it("a repeat in the batch does not take the hold from another event that names it", async () => {
    const walletId = await rig.wallet(1_000n);
    const holdId = uuidv7();
    const early = { id: uuidv7(), holdId, walletId, cost: 10n };
    expect((await rig.settle(early))[0]).to.include({ charged: 10n, holdMissing: true });
    await rig.ledger.authorize({ id: holdId, walletId, amount: 100n, owner: "test", ttlMs: 60_000 });
    const late = { id: uuidv7(), holdId, walletId, cost: 60n };
    const [repeat, fresh] = await rig.settle(early, late);
    expect(repeat).to.include({ charged: 10n, replayed: true });
    expect(fresh).to.include({ charged: 60n, replayed: false, holdMissing: false, balanceAfter: 930n });
    expect(await rig.ledger.balance(walletId)).to.include({ total: 930n, held: 0n });
  });

  it("never takes what other calls hold", async () => {
    const call = await heldCall(1_000n, 100n);
    await rig.hold(call.walletId, 880n);
    expect((await rig.settle({ ...call, cost: 500n }))[0]).to.include({ charged: 120n, balanceAfter: 880n });
  });

  it("a call whose hold was swept is charged what is available, and that is an incident", async () => {
    const call = await heldCall(1_000n, 100n);
    await rig.ledger.sweep(new Date(Date.now() + 120_000));
    await rig.hold(call.walletId, 700n);
    expect((await rig.settle({ ...call, cost: 500n }))[0]).to.include({ charged: 300n, uncharged: 200n, holdMissing: true });
    expect((await rig.settle({ ...call, cost: 500n }))[0]).to.include({ charged: 300n, replayed: true, holdMissing: true });
    const { items } = await rig.ledger.incidents({ page: 1, pageSize: 5 });
    expect(items.filter((one) => one.reference === call.id && one.kind === "hold_missing")).to.have.length(1);
  });

  it("nothing remains of a settlement whose transaction is rolled back, and it can be done again", async () => {
    const call = await heldCall(1_000n, 100n);
    const failed = inTransaction(rig.pool, async (tx) => {
      await rig.ledger.settle(tx, [usageItem({ ...call, cost: 90n })]);
      throw new Error("crash");
    });
    expect(await failed.catch((error: Error) => error.message)).to.equal("crash");
    expect(await rig.ledger.balance(call.walletId)).to.include({ total: 1_000n, held: 100n });
    expect((await rig.settle({ ...call, cost: 90n }))[0]).to.include({ charged: 90n, replayed: false });
  });

  it("a batch over several wallets and accounts answers in its order and posts to each", async () => {
    const [a, b] = [await rig.wallet(1_000n), await rig.wallet(50n)];
    const results = await rig.settle(
      { walletId: b, cost: 30n },
      { walletId: a, cost: 100n, to: "revenue:render" },
      { walletId: b, cost: 30n },
      { walletId: a, cost: 0n },
      { walletId: a, cost: 200n },
    );
    expect(results.map(({ charged, balanceAfter }) => [charged, balanceAfter])).to.deep.equal([
      [30n, 20n],
      [100n, 900n],
      [20n, 0n],
      [0n, 900n],
      [200n, 700n],
    ]);
  });

  it("one hold pays for one event only", async () => {
    const walletId = await rig.wallet(100n);
    const hold = await rig.hold(walletId, 100n);
    const results = await rig.settle({ walletId, holdId: hold.id, cost: 60n }, { walletId, holdId: hold.id, cost: 60n });
    expect(results.map(({ charged, holdMissing }) => [charged, holdMissing])).to.deep.equal([
      [60n, false],
      [40n, true],
    ]);
  });

  it("spends by priority, then what expires first, then the oldest, across a batch", async () => {
    const wallet = await rig.wallet(100n);
    const give = (amount: bigint, priority: number, expiresAt?: Date) =>
      rig.ledger.credit(rig.pool, { ...credit(wallet, amount), source: "bonus", type: "BONUS", priority, expiresAt: expiresAt ?? null });
    await give(10n, 30);
    await give(10n, 30, new Date("2101-01-01"));
    await give(10n, 30, new Date("2100-01-01"));
    await give(10n, 5);
    await rig.settle({ walletId: wallet, cost: 8n }, { walletId: wallet, cost: 8n }, { walletId: wallet, cost: 8n });
    const { rows } = await rig.pool.query<{ remaining: bigint }>("SELECT remaining FROM ledger_grants WHERE wallet_id = $1 ORDER BY id", [
      wallet,
    ]);
    expect(rows.map((row) => row.remaining)).to.deep.equal([100n, 10n, 6n, 0n, 0n]);
  });

  it("is foreseen to the last field with nothing locked that others share, and comes about so", async () => {
    const call = await heldCall(1_000n, 200n);
    const items = [usageItem({ ...call, cost: 93n }), usageItem({ walletId: call.walletId, cost: 2_000n, holdId: null })];
    await inTransaction(rig.pool, async (tx) => {
      const foreseen = await rig.ledger.foresee(tx, items);
      expect(foreseen.map(({ charged, owed, balanceAfter }) => [charged, owed, balanceAfter])).to.deep.equal([
        [93n, 0n, 907n],
        [907n, 1_093n, 0n],
      ]);
      await rig.pool.query("SELECT FROM ledger_accounts WHERE code IN ('revenue:usage', 'unpaid') FOR UPDATE NOWAIT");
      expect([...(await rig.ledger.unlocked([call.walletId, 987_654_321n]))]).to.deep.equal([987_654_321n]);
      expect(await rig.ledger.settle(tx, items)).to.deep.equal(foreseen);
    });
    expect(await inTransaction(rig.pool, (tx) => rig.ledger.foresee(tx, items))).to.deep.equal([]);
  });

  it("waits for a wallet no longer than it is told to", async () => {
    const call = await heldCall(1_000n, 200n);
    const items = [usageItem({ ...call, cost: 93n })];
    await inTransaction(rig.pool, async (tx) => {
      await rig.ledger.foresee(tx, items);
      const other = await inTransaction(rig.pool, (second) => rig.ledger.foresee(second, items, 20)).catch((error: unknown) => error);
      expect(isLockTimeout(other)).to.equal(true);
    });
    expect((await rig.settle(items[0]!))[0]).to.include({ charged: 93n });
  });
});

describe("credit that expires", () => {
  const rig = useLedger();
  const past = new Date(Date.now() - 1_000);
  const give = (walletId: bigint, amount: bigint, expiresAt: Date) =>
    rig.ledger.credit(rig.pool, { ...credit(walletId, amount), source: "bonus", type: "BONUS", expiresAt });

  it("cannot be spent after its expiry, even before the schedule has taken it out", async () => {
    const wallet = await rig.wallet(10n);
    await give(wallet, 90n, past);
    expect(await rig.ledger.balance(wallet)).to.deep.include({ total: 10n, available: 10n });
    expect(await rig.hold(wallet, 11n)).to.include({ kind: "refused", reason: "insufficient_balance", total: 10n });
    expect(await rig.hold(wallet, 10n)).to.include({ kind: "held" });
    const history = await rig.ledger.history(wallet, { types: ["EXPIRY"] }, { page: 1, pageSize: 5 });
    expect(history.items.map((item) => item.amount)).to.deep.equal([-90n]);
  });

  it("the schedule takes out what is due and nothing else", async () => {
    const wallet = await rig.wallet(10n);
    await give(wallet, 20n, new Date("2100-01-01"));
    await give(wallet, 30n, new Date("2100-01-03"));
    expect(await rig.ledger.expireGrants(new Date("2100-01-02"))).to.equal(1);
    expect(await rig.ledger.expireGrants(new Date("2100-01-02"))).to.equal(0);
    expect((await rig.ledger.balance(wallet)).total).to.equal(40n);
  });

  it("stays usable for a call that was admitted before, and the rest goes when that call is settled", async () => {
    const wallet = await rig.wallet();
    await give(wallet, 100n, new Date("2100-01-01"));
    const hold = await rig.hold(wallet, 60n);
    await rig.ledger.expireGrants(new Date("2100-01-02"));
    expect(await rig.ledger.balance(wallet)).to.include({ total: 60n, held: 60n, available: 0n });
    expect((await rig.settle({ walletId: wallet, id: hold.id, cost: 45n }))[0]).to.include({ charged: 45n, uncharged: 0n });
    await rig.ledger.expireGrants(new Date("2100-01-02"));
    expect((await rig.ledger.balance(wallet)).total).to.equal(0n);
  });
});
