import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { useLedger } from "./support.ts";

describe("charging piece by piece out of one hold", () => {
  const rig = useLedger();

  async function work(credit: bigint, held: bigint) {
    const walletId = await rig.wallet(credit);
    const { id: holdId } = await rig.hold(walletId, held);
    const name = uuidv7();
    return {
      walletId,
      holdId,
      piece: (no: number, cost: bigint, hold = holdId) =>
        inTransaction(rig.pool, (tx) =>
          rig.ledger.settlePart(tx, {
            id: `piece:${name}:${no}`,
            holdId: hold,
            walletId,
            cost,
            to: "revenue:render",
            type: "CONSUMPTION",
            description: "a piece",
            reference: name,
            ttlMs: 60_000,
          }),
        ),
      balance: async () => {
        const { total, held: open, available } = await rig.ledger.balance(walletId);
        return { total, held: open, available };
      },
    };
  }

  it("charges the piece and holds on what is left", async () => {
    const { piece, balance } = await work(1_000n, 300n);
    const first = await piece(1, 100n);
    expect(first).to.include({ kind: "charged", charged: 100n, balanceAfter: 900n, rest: 200n });
    expect(await balance()).to.deep.equal({ total: 900n, held: 200n, available: 700n });
    const second = await piece(2, 0n, (first as { holdId: string }).holdId);
    expect(second).to.include({ kind: "charged", charged: 0n, rest: 200n });
    expect(await balance()).to.deep.equal({ total: 900n, held: 200n, available: 700n });
  });

  it("charges the same piece once, however many ask at once", async () => {
    const { piece, balance } = await work(1_000n, 300n);
    const results = await Promise.all([1, 2, 3, 4, 5].map(() => piece(1, 100n)));
    expect(results.map(({ kind }) => kind).sort()).to.deep.equal(["charged", "repeated", "repeated", "repeated", "repeated"]);
    for (const result of results) expect(result).to.include({ charged: 100n, balanceAfter: 900n });
    expect(await balance()).to.deep.equal({ total: 900n, held: 200n, available: 700n });
  });

  it("takes what the hold lacks from what is available, and nothing when both do not cover it", async () => {
    const { walletId, piece, balance } = await work(1_000n, 300n);
    await rig.hold(walletId, 600n);
    expect(await piece(1, 401n)).to.deep.equal({ kind: "refused", shortfall: 1n, rest: 300n });
    expect(await balance()).to.deep.equal({ total: 1_000n, held: 900n, available: 100n });
    const charged = await piece(1, 400n);
    expect(charged).to.include({ kind: "charged", charged: 400n, rest: 0n });
    expect(await balance()).to.deep.equal({ total: 600n, held: 600n, available: 0n });
  });

  it("a hold that is closed charges nothing and says so", async () => {
    const { holdId, piece, balance } = await work(1_000n, 300n);
    await rig.ledger.release([holdId]);
    expect(await piece(1, 100n)).to.deep.equal({ kind: "missing" });
    expect(await balance()).to.deep.equal({ total: 1_000n, held: 0n, available: 1_000n });
  });

  it("a transaction that fails leaves hold and balance as they were", async () => {
    const { walletId, holdId, balance } = await work(1_000n, 300n);
    const item = { id: uuidv7(), holdId, walletId, cost: 50n, to: "revenue:render", type: "CONSUMPTION" } as const;
    const failed = await inTransaction(rig.pool, async (tx) => {
      await rig.ledger.settlePart(tx, { ...item, description: "a piece", reference: "x", ttlMs: 1_000 });
      throw new Error("the node died");
    }).catch((error: Error) => error.message);
    expect(failed).to.equal("the node died");
    expect(await balance()).to.deep.equal({ total: 1_000n, held: 300n, available: 700n });
  });

  it("a hold is replaced by a larger or smaller one when the wallet covers it", async () => {
    const { walletId, holdId, balance } = await work(1_000n, 300n);
    const replace = (hold: string, amount: bigint) =>
      inTransaction(rig.pool, (tx) => rig.ledger.replaceHold(tx, { holdId: hold, walletId, amount, owner: "test", ttlMs: 60_000 }));
    const larger = await replace(holdId, 1_000n);
    expect(larger.kind).to.equal("held");
    expect(await balance()).to.deep.equal({ total: 1_000n, held: 1_000n, available: 0n });
    const { holdId: next } = larger as { holdId: string };
    expect(await replace(next, 1_001n)).to.deep.equal({ kind: "refused", reason: "insufficient_balance", shortfall: 1n });
    expect((await replace(next, 10n)).kind).to.equal("held");
    expect(await replace(next, 10n)).to.deep.equal({ kind: "missing" });
    expect(await balance()).to.deep.equal({ total: 1_000n, held: 10n, available: 990n });
  });

  it("a spend limit is held against, counts what is charged, and is never overdrawn", async () => {
    const walletId = await rig.wallet(10_000n);
    const budget = { id: `user:${uuidv7()}`, period: "total", limit: 500n };
    const hold = { walletId, owner: "test", ttlMs: 60_000, budgets: [budget] };
    const holdId = uuidv7();
    const spending = async () => (await rig.ledger.spending([budget]))[0];
    const within = <T>(work: Parameters<typeof inTransaction<T>>[1]) => inTransaction(rig.pool, work);
    expect((await within((tx) => rig.ledger.reserve(tx, { ...hold, id: holdId, amount: 300n }))).kind).to.equal("held");
    expect(await within((tx) => rig.ledger.reserve(tx, { ...hold, id: uuidv7(), amount: 201n }))).to.include({
      kind: "refused",
      reason: "spend_limit_on_hold",
      shortfall: 1n,
    });
    const piece = (id: string, cost: bigint, of: string) =>
      within((tx) =>
        rig.ledger.settlePart(tx, {
          id,
          holdId: of,
          walletId,
          cost,
          to: "revenue:render",
          type: "CONSUMPTION",
          description: "a piece",
          reference: "x",
          ttlMs: 60_000,
        }),
      );
    const first = (await piece(uuidv7(), 100n, holdId)) as { holdId: string };
    expect(await spending()).to.deep.equal({ spent: 100n, held: 200n });
    expect(await piece(uuidv7(), 201n, first.holdId)).to.include({ kind: "refused", rest: 200n });
    const replace = (amount: bigint) => within((tx) => rig.ledger.replaceHold(tx, { ...hold, holdId: first.holdId, amount }));
    expect(await replace(401n)).to.include({ kind: "refused", reason: "spend_limit_reached" });
    expect(await spending()).to.deep.equal({ spent: 100n, held: 200n });
    const larger = (await replace(400n)) as { holdId: string };
    expect(await spending()).to.deep.equal({ spent: 100n, held: 400n });
    expect((await piece(uuidv7(), 400n, larger.holdId)).kind).to.equal("charged");
    expect(await spending()).to.deep.equal({ spent: 500n, held: 0n });
  });

  it("a hold that is made in a transaction exists with it, and is refused as any other", async () => {
    const walletId = await rig.wallet(100n);
    const reserve = (amount: bigint, fail = false) =>
      inTransaction(rig.pool, async (tx) => {
        const outcome = await rig.ledger.reserve(tx, { id: uuidv7(), walletId, amount, owner: "test", ttlMs: 60_000 });
        if (fail) throw new Error("the process died");
        return outcome;
      });
    await reserve(60n, true).catch(() => undefined);
    expect(await rig.ledger.balance(walletId)).to.include({ held: 0n });
    expect(await reserve(60n)).to.deep.equal({ kind: "held", amount: 60n, available: 40n });
    expect(await reserve(60n)).to.include({ kind: "refused", reason: "balance_on_hold", shortfall: 20n });
    expect(await reserve(160n)).to.include({ kind: "refused", reason: "insufficient_balance", shortfall: 120n });
  });

  it("pieces, calls and releases of one wallet at once never wait for each other in a circle", async () => {
    const many = await work(100_000n, 50_000n);
    let hold = many.holdId;
    const calls = async () => {
      for (let n = 0; n < 40; n++) {
        const { id } = await rig.hold(many.walletId, 100n);
        if (n % 2) await rig.settle({ id, walletId: many.walletId, cost: 10n });
        else await rig.ledger.release([id]);
      }
    };
    const pieces = async () => {
      for (let n = 0; n < 40; n++) {
        const result = await many.piece(n, 100n, hold);
        expect(result.kind).to.equal("charged");
        hold = (result as { holdId: string }).holdId;
      }
    };
    await Promise.all([calls(), pieces(), calls()]);
    expect(await many.balance()).to.deep.equal({ total: 95_600n, held: 46_000n, available: 49_600n });
  });
});
