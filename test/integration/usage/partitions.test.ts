import { expect } from "chai";
import { createDrain, createHousekeeping, forgetIncidents } from "../../../src/usage/index.ts";
import { useStack } from "../../support/stack.ts";
import { eventOf, silent, usageRig, type UsageRig } from "../../support/usage.ts";

describe("storage of usage events", () => {
  const places = useStack();
  let rig: UsageRig;
  before(() => {
    rig = usageRig({ url: places.databaseUrl });
  });
  after(() => rig.close());

  const countIn = async (table: string) => (await rig.pool.query<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]!.n;
  const house = () => createHousekeeping({ pool: rig.pool, ledger: rig.ledger, shards: 2, log: silent });

  it("a call of a day without a partition is kept, moved to its own partition by the next sweep, and settled", async () => {
    const owner = await rig.wallet(1_000);
    const startedAt = new Date("2025-02-28T23:59:59.999Z");
    const event = await rig.call(owner, { startedAt });
    await rig.usage.record(event);
    expect(await countIn("usage_events_default")).to.equal(1n);
    expect((await house().keepHouse()).partitionsMade).to.be.greaterThan(0);
    expect(await countIn("usage_events_default")).to.equal(0n);
    expect(await countIn("usage_events_p20250228")).to.equal(1n);
    const drain = createDrain({ pool: rig.pool, settlement: rig.settlement, batch: 50, log: silent });
    expect(await drain(0, { maxMs: 5_000, lingerMs: 0 })).to.include({ settled: 1 });
  });

  it("partitions are made ahead, once, also by two workers at the same moment", async () => {
    await Promise.all([house().keepHouse(), house().keepHouse()]);
    expect((await house().keepHouse()).partitionsMade).to.equal(0);
    const ahead = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10).replaceAll("-", "");
    const { rows } = await rig.pool.query("SELECT to_regclass($1) IS NOT NULL AS there", [`usage_events_p${ahead}`]);
    expect(rows[0]).to.deep.equal({ there: true });
  });

  it("with fewer shards than before, waiting calls move to a shard that exists", async () => {
    const wide = usageRig({ url: places.databaseUrl, shards: 64 });
    const owner = await rig.wallet(1_000);
    await wide.usage.record(eventOf(owner));
    await rig.pool.query("UPDATE usage_events SET shard = 63 WHERE user_id = $1", [owner.userId]);
    expect((await house().keepHouse()).resharded).to.equal(1);
    const { rows } = await rig.pool.query("SELECT shard FROM usage_events WHERE user_id = $1", [owner.userId]);
    expect(rows).to.deep.equal([{ shard: 1 }]);
    await wide.close();
  });

  it("idempotency keys are forgotten after a day", async () => {
    await rig.pool.query(
      "INSERT INTO idempotency_keys (scope, key, body_hash, claimed_at) VALUES ('s', 'old', 'h', now() - interval '25 hours'), ('s', 'new', 'h', now())",
    );
    expect((await house().keepHouse()).keysForgotten).to.equal(1);
  });

  it("what fails stops nothing that comes after it", async () => {
    const done: string[] = [];
    const chore =
      (name: string, fails = false) =>
      async () => {
        done.push(name);
        if (fails) throw new Error("this chore always fails");
      };
    const kept = await createHousekeeping({
      pool: rig.pool,
      ledger: { ...rig.ledger, forgetHolds: () => Promise.reject(new Error("holds cannot be forgotten")) },
      shards: 2,
      chores: [chore("first"), chore("second", true), chore("third")],
      log: silent,
    }).keepHouse();
    expect(done).to.deep.equal(["first", "second", "third"]);
    expect(kept).to.include({ holdsForgotten: 0, partitionsMade: 0 });
  });

  it("incidents are forgotten when they are old, not those that a call waits for", async () => {
    await rig.pool.query(
      `INSERT INTO incidents (kind, subject, created_at, resolved_at) VALUES
         ('usage_disagrees', 'old', now() - interval '11 days', NULL), ('usage_disagrees', 'new', now() - interval '9 days', NULL),
         ('settlement_refused', 'waits', now() - interval '99 days', NULL),
         ('settlement_refused', 'just mended', now() - interval '99 days', now() - interval '9 days'),
         ('price_version_missing', 'long mended', now() - interval '99 days', now() - interval '11 days')`,
    );
    expect(await forgetIncidents(rig.pool, new Date(Date.now() - 10 * 86_400_000))).to.equal(2);
    const { rows } = await rig.pool.query<{ subject: string }>("SELECT subject FROM incidents ORDER BY subject");
    expect(rows.map(({ subject }) => subject)).to.deep.equal(["just mended", "new", "waits"]);
  });
});
