import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createDrain, createSettlement } from "../../../src/usage/index.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { silent, testPricing, usageRig, type UsageRig } from "../../support/usage.ts";

describe("settling calls", () => {
  const places = useStack();
  let rig: UsageRig;
  beforeEach(() => {
    rig = usageRig({ url: places.databaseUrl });
  });
  afterEach(async () => {
    const proof = await rig.ledger.verify();
    await rig.pool.query("UPDATE usage_events SET set_aside_at = now() WHERE billable AND settled_at IS NULL");
    await rig.close();
    expect(proof.differences).to.deep.equal([]);
  });
  const drainOf = (from: UsageRig) => createDrain({ pool: from.pool, settlement: from.settlement, batch: 50, log: silent });
  const drainAll = (from: UsageRig = rig) => drainOf(from)(0, { maxMs: 20_000, lingerMs: 0 });

  it("1500 and 800 tokens at 30 and 60 per 1000 cost exactly 93 credits, and the hold is closed", async () => {
    const owner = await rig.wallet(1_000);
    const event = await rig.call(owner);
    await rig.usage.record(event);
    expect(await drainAll()).to.include({ settled: 1, setAside: 0, pending: 0 });
    expect(await rig.row(event.id)).to.include({ cost: 93n * MICRO, uncharged: 0n });
    expect(await rig.ledger.balance(owner.walletId)).to.include({ total: 907n * MICRO, held: 0n, available: 907n * MICRO });
    const { rows } = await rig.pool.query("SELECT requests, input_tokens, output_tokens, cost FROM usage_hourly WHERE user_id = $1", [
      owner.userId,
    ]);
    expect(rows).to.deep.equal([{ requests: 1n, input_tokens: 1_500n, output_tokens: 800n, cost: 93n * MICRO }]);
  });

  it("a call is priced by the version it began under", async () => {
    const owner = await rig.wallet(1_000);
    const old = await rig.call(owner, { priceVersionId: 1n });
    const fresh = await rig.call(owner, { priceVersionId: 2n }, 200);
    await Promise.all([rig.usage.record(fresh), rig.usage.record(old)]);
    await drainAll();
    expect((await rig.row(old.id))?.["cost"]).to.equal(93n * MICRO);
    expect((await rig.row(fresh.id))?.["cost"]).to.equal(186n * MICRO);
  });

  it("an explicit zero costs nothing and still closes the hold", async () => {
    const owner = await rig.wallet(1_000);
    const event = await rig.call(owner, { tokens: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 } });
    await rig.usage.record(event);
    await drainAll();
    expect(await rig.row(event.id)).to.include({ cost: 0n, uncharged: 0n });
    expect((await rig.ledger.balance(owner.walletId)).held).to.equal(0n);
  });

  it("two workers on one shard at once charge every call once", async () => {
    const other = usageRig({ url: places.databaseUrl });
    const owners = await Promise.all([1, 2, 3].map(() => rig.wallet(10_000)));
    const events = await Promise.all(Array.from({ length: 150 }, (_, i) => rig.call(owners[i % 3]!, {}, 93)));
    await Promise.all(events.map((event) => rig.usage.record(event)));
    const [one, two] = await Promise.all([drainAll(rig), drainAll(other)]);
    expect(one.settled + two.settled).to.equal(150);
    for (const owner of owners) expect((await rig.ledger.balance(owner.walletId)).total).to.equal((10_000n - 50n * 93n) * MICRO);
    await other.close();
  });

  it("a batch whose connection is killed in the middle leaves nothing behind and is settled afterwards, once", async () => {
    const owner = await rig.wallet(10_000);
    const events = await Promise.all(Array.from({ length: 20 }, () => rig.call(owner, {}, 93)));
    await Promise.all(events.map((event) => rig.usage.record(event)));
    // The charge is posted and the events are marked, then the backend dies before the transaction commits.
    const dying = createSettlement({
      pool: rig.pool,
      pricing: testPricing,
      log: silent,
      ledger: {
        foresee: rig.ledger.foresee,
        settleAnd: async (tx, items, follow) => {
          const results = await rig.ledger.settleAnd(tx, items, follow);
          const { rows } = await tx.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
          await rig.pool.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
          return results;
        },
      },
    });
    const failure = await dying.settleBatch(0, 50).catch((error: Error) => error);
    expect(failure).to.be.instanceOf(Error);
    expect(await rig.ledger.balance(owner.walletId)).to.include({ total: 10_000n * MICRO, held: 20n * 93n * MICRO });
    expect(await drainAll()).to.include({ settled: 20 });
    expect(await rig.ledger.balance(owner.walletId)).to.include({ total: (10_000n - 20n * 93n) * MICRO, held: 0n });
  });

  it("a call without a price is set aside with an incident and holds nobody up; mended, it is settled", async () => {
    const owner = await rig.wallet(1_000);
    const poison = await rig.call(owner, { priceVersionId: 77n, startedAt: new Date(Date.now() - 60_000) });
    const good = await rig.call(owner);
    await Promise.all([rig.usage.record(poison), rig.usage.record(good)]);
    expect(await drainAll()).to.include({ settled: 1, setAside: 1, pending: 0 });
    const { rows } = await rig.pool.query("SELECT kind, user_id FROM incidents WHERE subject = $1", [poison.id]);
    expect(rows).to.deep.equal([{ kind: "price_version_missing", user_id: owner.userId }]);
    expect((await rig.ledger.balance(owner.walletId)).held).to.equal(100n * MICRO);
  });

  it("a call the ledger refuses is set aside alone; the rest of its batch is charged", async () => {
    const owner = await rig.wallet(1_000);
    const good = await Promise.all([1, 2, 3].map(() => rig.call(owner, {}, 93)));
    const bad = await rig.call({ userId: uuidv7(), walletId: 999_999_999n }, { startedAt: new Date(Date.now() - 60_000) }, 0);
    await Promise.all([...good, bad].map((event) => rig.usage.record(event)));
    expect(await drainAll()).to.include({ settled: 3, setAside: 1, pending: 0 });
    const { rows } = await rig.pool.query("SELECT kind FROM incidents WHERE subject = $1", [bad.id]);
    expect(rows).to.deep.equal([{ kind: "settlement_refused" }]);
  });

  it("a call settled at once is not settled again by its shard", async () => {
    const owner = await rig.wallet(1_000);
    const event = await rig.call(owner);
    await rig.usage.record(event);
    const both = await Promise.all([rig.settlement.settleNow(event.id), rig.settlement.settleNow(event.id)]);
    expect(both.filter(Boolean)).to.have.length(1);
    expect(await drainAll()).to.include({ settled: 0 });
    expect((await rig.ledger.balance(owner.walletId)).total).to.equal(907n * MICRO);
  });

  it("while a drain lingers, new calls are settled without waking anybody", async () => {
    const owner = await rig.wallet(1_000);
    const record = async () => {
      const event = await rig.call(owner, {}, 93);
      await rig.usage.record(event);
      return event.id;
    };
    const settled = async (id: string) => (await rig.row(id))?.["settled_at"] !== null;
    const first = await record();
    const draining = drainOf(rig)(0, { maxMs: 20_000, lingerMs: 700 });
    await waitFor(() => settled(first));
    const marked = await waitFor(
      async () =>
        (await rig.pool.query("SELECT draining_until > now() AS yes FROM settlement_shards WHERE shard = 0")).rows[0]?.yes as boolean,
    );
    expect(marked).to.equal(true);
    const second = await record();
    await waitFor(() => settled(second), { timeoutMs: 600 });
    expect(await draining).to.include({ settled: 2 });
    const { rows } = await rig.pool.query("SELECT draining_until > now() AS yes FROM settlement_shards WHERE shard = 0");
    expect(rows[0]?.yes).to.equal(false);
  });
});
