import { expect } from "chai";
import { isAppError } from "./errors.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { openLedger, useLedger } from "./support.ts";

describe("holds", () => {
  const rig = useLedger();

  it("a hold reserves credit, its release gives it back, and a second release changes nothing", async () => {
    const wallet = await rig.wallet(100n);
    const hold = await rig.hold(wallet, 60n);
    expect(hold).to.include({ kind: "held", amount: 60n });
    expect(await rig.ledger.balance(wallet)).to.include({ total: 100n, held: 60n, available: 40n });
    await Promise.all([rig.ledger.release([hold.id]), rig.ledger.release([hold.id, uuidv7()])]);
    await rig.ledger.release([hold.id]);
    expect(await rig.ledger.balance(wallet)).to.include({ total: 100n, held: 0n, available: 100n });
  });

  it("an empty wallet and a wallet whose credit is held by other calls are told apart", async () => {
    const wallet = await rig.wallet(100n);
    expect(await rig.hold(wallet, 101n)).to.include({
      kind: "refused",
      reason: "insufficient_balance",
      available: 100n,
      total: 100n,
      shortfall: 1n,
    });
    await rig.hold(wallet, 70n);
    expect(await rig.hold(wallet, 50n)).to.include({
      kind: "refused",
      reason: "balance_on_hold",
      available: 30n,
      total: 100n,
      shortfall: 20n,
    });
  });

  it("holds what is available when that is at least the minimum asked", async () => {
    const wallet = await rig.wallet(100n);
    expect(await rig.hold(wallet, 500n, { minAmount: 80n })).to.include({ kind: "held", amount: 100n });
    expect(await rig.hold(wallet, 500n, { minAmount: 80n })).to.include({ kind: "refused", reason: "balance_on_hold", shortfall: 80n });
    expect(await rig.hold(wallet, 500n, { minAmount: 101n })).to.include({ kind: "refused", reason: "insufficient_balance" });
  });

  it("the same id gets the first answer, in one batch and later, and never a second hold", async () => {
    const wallet = await rig.wallet(100n);
    const id = uuidv7();
    const again = () => rig.hold(wallet, 90n, { id });
    const outcomes = [...(await Promise.all(Array.from({ length: 20 }, again))), await again()];
    for (const outcome of outcomes) expect(outcome).to.include({ kind: "held", amount: 90n });
    expect((await rig.ledger.balance(wallet)).held).to.equal(90n);
  });

  it("a partial hold asked for again gets the same part", async () => {
    const wallet = await rig.wallet(100n);
    const first = await rig.hold(wallet, 500n, { minAmount: 10n });
    expect(await rig.hold(wallet, 500n, { minAmount: 10n, id: first.id })).to.deep.equal(first);
  });

  it("an id that is closed, of another wallet, or a wallet that does not exist is refused alone, not with its batch", async () => {
    const [wallet, other] = [await rig.wallet(100n), await rig.wallet(100n)];
    const closed = await rig.hold(wallet, 10n);
    await rig.ledger.release([closed.id]);
    const foreign = await rig.hold(other, 10n);
    const [good, ...bad] = await Promise.allSettled([
      rig.hold(wallet, 10n),
      rig.hold(wallet, 10n, { id: closed.id }),
      rig.hold(wallet, 10n, { id: foreign.id }),
      rig.hold(999_999n, 10n),
      rig.hold(wallet, -1n),
      rig.hold(wallet, 10n, { id: "no uuid" }),
    ]);
    expect(good).to.have.property("status", "fulfilled");
    const codes = bad.map((one) => (one.status === "rejected" && isAppError(one.reason) ? one.reason.code : one.status));
    expect(codes).to.deep.equal(["invalid_state", "conflict", "not_found", "rejected", "rejected"]);
  });

  it("each call of a batch is decided on its own: one that is too large does not take the others with it", async () => {
    const wallet = await rig.wallet(100n);
    const outcomes = await Promise.all([70n, 200n, 40n, 30n, 1n].map((amount) => rig.hold(wallet, amount)));
    expect(outcomes.map((outcome) => outcome.kind)).to.deep.equal(["held", "refused", "refused", "held", "refused"]);
  });

  it("the sweep takes holds that nobody renewed, keeps renewed and pinned ones, and records what it took", async () => {
    const wallet = await rig.wallet(100n);
    const [gone, renewed, pinned] = [await rig.hold(wallet, 10n), await rig.hold(wallet, 20n), await rig.hold(wallet, 30n)];
    expect(await rig.ledger.extend([renewed.id, uuidv7()], 3_600_000)).to.deep.equal([renewed.id]);
    await rig.pool.query("SELECT ledger_pin_holds($1)", [[pinned.id]]);
    expect(await rig.ledger.extend([pinned.id], 1)).to.deep.equal([pinned.id]);
    const swept = await rig.ledger.sweep(new Date(Date.now() + 120_000));
    expect(swept.filter((hold) => hold.walletId === wallet).map(({ id, amount, owner }) => ({ id, amount, owner }))).to.deep.equal([
      { id: gone.id, amount: 10n, owner: "test" },
    ]);
    expect((await rig.ledger.balance(wallet)).held).to.equal(50n);
    const incidents = await rig.ledger.incidents({ page: 1, pageSize: 100 });
    expect(incidents.items.find((one) => one.reference === gone.id)).to.include({ kind: "hold_swept" });
    expect(await rig.ledger.extend([gone.id], 60_000)).to.deep.equal([]);
  });

  it("an owner who could not renew in time has 15 seconds to come back before the sweep takes the hold", async () => {
    const wallet = await rig.wallet(100n);
    const late = await rig.hold(wallet, 10n, { ttlMs: 60_000 });
    const sweep = async (afterMs: number) => (await rig.ledger.sweep(new Date(Date.now() + 60_000 + afterMs))).map((hold) => hold.id);
    expect(await sweep(10_000)).not.to.include(late.id);
    expect(await rig.ledger.extend([late.id], 70_000)).to.deep.equal([late.id]);
    expect(await sweep(20_000)).not.to.include(late.id);
    expect(await sweep(40_000)).to.include(late.id);
  });

  it("holds closed long ago are forgotten, open ones never", async () => {
    const wallet = await rig.wallet(100n);
    const [open, closed] = [await rig.hold(wallet, 10n), await rig.hold(wallet, 20n)];
    await rig.ledger.release([closed.id]);
    await rig.ledger.forgetHolds(new Date(Date.now() + 1_000));
    const { rows } = await rig.pool.query<{ id: string }>("SELECT id FROM ledger_holds WHERE wallet_id = $1", [wallet]);
    expect(rows.map((row) => row.id)).to.deep.equal([open.id]);
  });

  it("while Postgres cannot be reached a hold is refused clearly and soon", async () => {
    const { ledger, pool } = openLedger("postgres://nobody@127.0.0.1:1/nothing");
    const failure = await ledger
      .authorize({ id: uuidv7(), walletId: 1n, amount: 1n, owner: "test", ttlMs: 1_000 })
      .catch((error: unknown) => error);
    expect(failure).to.have.property("code", "ECONNREFUSED");
    await ledger.release([uuidv7()]);
    await ledger.close();
    await pool.end();
  });
});
