import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { waitFor } from "../../support/stack.ts";
import { credit, openLedger, usageItem, useLedger } from "./support.ts";

/** At least so many, however slow the machine is. */
const ROUNDS = 24;

describe("many at once", () => {
  const rig = useLedger();

  it("200 calls on a wallet that pays for 50: exactly 50 run, whoever of several copies they ask", async () => {
    const wallet = await rig.wallet(5_000n);
    const copies = [rig, openLedger(rig.url), openLedger(rig.url)];
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        copies[i % 3]!.ledger.authorize({ id: uuidv7(), walletId: wallet, amount: 100n, owner: "test", ttlMs: 60_000 }),
      ),
    );
    const refused = outcomes.filter((outcome) => outcome.kind === "refused");
    expect(refused).to.have.length(150);
    for (const outcome of refused) expect(outcome).to.deep.include({ reason: "balance_on_hold", available: 0n, shortfall: 100n });
    expect(await rig.ledger.balance(wallet)).to.include({ total: 5_000n, held: 5_000n, available: 0n });
    await Promise.all(copies.slice(1).map((copy) => copy.ledger.close().then(() => copy.pool.end())));
  });

  it("everything at once on a few wallets and budgets never deadlocks, and the books are right after it", async () => {
    const wallets = await Promise.all(Array.from({ length: 5 }, () => rig.wallet(100_000n)));
    const copies = [rig, openLedger(rig.url)];
    const pick = () => wallets[Math.floor(Math.random() * wallets.length)]!;
    // Shared by all wallets, as those of a team would be, and named in any order.
    const limits = Array.from({ length: 4 }, (_, i) => ({
      id: `team:${uuidv7()}`,
      period: "total",
      limit: i === 0 ? 20_000n : 1_000_000n,
    }));
    const some = () => limits.filter(() => Math.random() < 0.5).sort(() => Math.random() - 0.5);
    const expiresAt = new Date(Date.now() + 300);
    const until = Date.now() + 2_000;
    let rounds = 0;

    async function caller(n: number): Promise<void> {
      const { ledger, pool } = copies[n % copies.length]!;
      while (Date.now() < until || rounds < ROUNDS) {
        rounds += 1;
        const holds = await Promise.all(
          Array.from({ length: 6 }, async () => {
            const hold = { id: uuidv7(), walletId: pick(), amount: 50n, budgets: some(), owner: "test", ttlMs: n % 3 === 0 ? 1 : 60_000 };
            return { ...hold, outcome: await ledger.authorize(hold) };
          }),
        );
        const held = holds.filter((hold) => hold.outcome.kind === "held").sort(() => Math.random() - 0.5);
        await ledger.extend(
          held.map((hold) => hold.id),
          10,
        );
        await Promise.all([
          inTransaction(pool, (tx) =>
            ledger.settle(
              tx,
              held.slice(0, 4).map(({ id, walletId }) => usageItem({ id, walletId, cost: 45n })),
            ),
          ),
          pool.query("SELECT ledger_pin_holds($1)", [held.slice(0, 4).map((hold) => hold.id)]),
          ledger.release(held.slice(3).map((hold) => hold.id)),
          ledger.credit(pool, { ...credit(pick(), 300n), expiresAt, source: "bonus", type: "BONUS" }),
          ledger.debit(pool, { id: `test:${uuidv7()}`, walletId: pick(), amount: 10n, to: "adjustments", type: "ADMIN", description: "d" }),
          ledger.sweep(new Date(Date.now() + 15_000), 5),
          ledger.expireGrants(new Date(), 3),
        ]);
      }
    }

    await Promise.all(Array.from({ length: 12 }, (_, n) => caller(n)));
    const { rows } = await rig.pool.query<{ deadlocks: bigint }>(
      "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    );
    expect(rows[0]!.deadlocks).to.equal(0n);
    await copies[1]!.ledger.close();
    await copies[1]!.pool.end();
  });

  it("calls whose holds are gone and calls whose holds are open are charged on the same budget at once, without a deadlock", async () => {
    const [open, gone] = await Promise.all([rig.wallet(100_000n), rig.wallet(100_000n)]);
    const budgets = [{ id: `team:${uuidv7()}`, period: "total", limit: 1_000_000n }];
    const hold = async (walletId: bigint) => {
      const made = { id: uuidv7(), walletId, amount: 10n, budgets, owner: "test", ttlMs: 60_000 };
      await rig.ledger.authorize(made);
      return made;
    };
    const charge = ({ id, walletId }: { id: string; walletId: bigint }) =>
      inTransaction(rig.pool, (tx) => rig.ledger.settle(tx, [usageItem({ id, walletId, cost: 10n })]));
    for (let round = 0; round < 60; round++) {
      const [first, second] = await Promise.all([hold(open), hold(gone)]);
      await rig.ledger.release([second.id]);
      await Promise.all([charge(first), charge(second)]);
    }
    expect(await rig.ledger.budgets(budgets)).to.deep.equal([{ spent: 1_200n, held: 0n }]);
  });

  it("the balance is never seen below zero nor below what is held while calls come and go", async () => {
    const wallet = await rig.wallet(1_000n);
    const done = new AbortController();
    let looks = 0;
    const watcher = (async () => {
      while (!done.signal.aborted) {
        const { total, held, available } = await rig.ledger.balance(wallet);
        looks += 1;
        expect([total >= 0n, held >= 0n, available === total - held, available >= 0n]).to.deep.equal([true, true, true, true]);
      }
    })();
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const hold = await rig.hold(wallet, 40n);
        if (hold.kind === "held") await rig.settle({ walletId: wallet, id: hold.id, cost: 44n });
      }),
    );
    done.abort();
    await watcher;
    expect(looks).to.be.greaterThan(1);
  });
});

describe("connections that break", () => {
  const rig = useLedger();

  it("killed again and again in the middle, no call holds credit that it does not know of", async () => {
    const wallet = await rig.wallet(1_000_000n);
    const { ledger, pool } = openLedger(rig.url, "victim");
    const done = new AbortController();
    let killed = 0n;
    const killer = (async () => {
      while (!done.signal.aborted) {
        const { rows } = await rig.pool.query<{ killed: bigint }>(
          "SELECT count(pg_terminate_backend(pid)) AS killed FROM pg_stat_activity WHERE application_name = 'victim' AND datname = current_database()",
        );
        killed += rows[0]!.killed;
      }
    })();
    let known = 0n;
    let lost = 0;
    const caller = async () => {
      for (let i = 0; i < 25; i++) {
        await ledger.authorize({ id: uuidv7(), walletId: wallet, amount: 7n, owner: "test", ttlMs: 60_000 }).then(
          (outcome) => (known += outcome.kind === "held" ? outcome.amount : 0n),
          () => (lost += 1),
        );
      }
    };
    await Promise.all(Array.from({ length: 20 }, caller));
    done.abort();
    await killer;
    expect(killed > 0n).to.equal(true);
    const held = async () => (await rig.ledger.balance(wallet)).held;
    await waitFor(async () => (await held()) === known, { message: `${lost} calls that were told nothing to hold nothing` });
    await ledger.close();
    await pool.end();
  });

  it("a settlement whose connection is killed before the commit has not happened", async () => {
    const wallet = await rig.wallet(1_000n);
    const hold = await rig.hold(wallet, 100n);
    const failed = inTransaction(rig.pool, async (tx) => {
      await rig.ledger.settle(tx, [usageItem({ id: hold.id, walletId: wallet, cost: 90n })]);
      tx.on("error", () => undefined);
      const { rows } = await tx.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      await rig.pool.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
      await tx.query("SELECT 1");
    });
    expect(await failed.catch((error: unknown) => error)).to.be.instanceOf(Error);
    expect(await rig.ledger.balance(wallet)).to.include({ total: 1_000n, held: 100n });
    expect((await rig.settle({ id: hold.id, walletId: wallet, cost: 90n }))[0]).to.include({ charged: 90n, replayed: false });
  });
});
