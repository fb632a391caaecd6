import { expect } from "chai";
import pg from "pg";
import { createDrain } from "../../../src/usage/index.ts";
import { useStack } from "../../support/stack.ts";
import { eventOf, silent, usageRig, type UsageRig } from "../../support/usage.ts";

/** Every statement here runs as the owner of the tables, over a plain connection. */
describe("someone with SQL access to recorded calls", () => {
  const places = useStack();
  let rig: UsageRig;
  let settled: string;
  let waiting: string;

  before(async () => {
    rig = usageRig({ url: places.databaseUrl });
    const owner = await rig.wallet(1_000);
    const [first, second] = [await rig.call(owner), await rig.call(owner)];
    [settled, waiting] = [first.id, second.id];
    await rig.usage.record(first);
    const drain = createDrain({ pool: rig.pool, settlement: rig.settlement, batch: 50, log: silent });
    expect(await drain(0, { maxMs: 5_000, lingerMs: 0 })).to.include({ settled: 1 });
    await rig.usage.record(second);
    // And one in the net.
    await rig.usage.record(eventOf(owner, { startedAt: new Date("2025-01-01T12:00:00Z") }));
  });
  after(() => rig.close());

  async function psql(sql: string): Promise<unknown> {
    const client = new pg.Client({ connectionString: places.databaseUrl });
    await client.connect();
    try {
      return await client.query(sql);
    } finally {
      await client.end();
    }
  }
  const refusal = (sql: string) =>
    psql(sql).then(
      () => undefined,
      (error: { code?: string }) => error.code,
    );
  const state = async () =>
    (await rig.pool.query("SELECT md5(string_agg(u::text, '|' ORDER BY id)) AS rows, count(*) AS n FROM usage_events u")).rows[0];

  const attempts: Record<string, () => string> = {
    "change what a settled call cost": () => `UPDATE usage_events SET cost = cost - 1 WHERE id = '${settled}'`,
    "change the tokens of a settled call": () => `UPDATE usage_events SET output_tokens = 0 WHERE id = '${settled}'`,
    "have a settled call settled again": () => `UPDATE usage_events SET settled_at = NULL, cost = NULL WHERE id = '${settled}'`,
    "change the tokens of a call that waits": () => `UPDATE usage_events SET output_tokens = 0 WHERE id = '${waiting}'`,
    "lower the multiplier of a call that waits": () => `UPDATE usage_events SET price_multiplier = 0 WHERE id = '${waiting}'`,
    "hide what a call cost us": () => `UPDATE usage_events SET upstream_cost = 0, attempts = '[]' WHERE id = '${waiting}'`,
    "charge a call that waits to someone else": () => `UPDATE usage_events SET wallet_id = wallet_id + 1 WHERE id = '${waiting}'`,
    "take a call that waits out of billing": () => `UPDATE usage_events SET billable = false WHERE id = '${waiting}'`,
    "mark a call that waits as settled, which would make it free": () =>
      `UPDATE usage_events SET settled_at = now(), cost = 0, uncharged = 0 WHERE id = '${waiting}'`,
    "price a call that waits": () => `UPDATE usage_events SET cost = 0 WHERE id = '${waiting}'`,
    "change a call in the net by its partition": () => "UPDATE usage_events_default SET output_tokens = 0",
    "delete a call": () => `DELETE FROM usage_events WHERE id = '${settled}'`,
    "delete a call in the net": () => "DELETE FROM usage_events_default",
    "empty the calls": () => "TRUNCATE usage_events",
    "empty the calls of today": () => "TRUNCATE usage_events_p" + new Date().toISOString().slice(0, 10).replaceAll("-", ""),
    "empty the net": () => "TRUNCATE usage_events_default",
  };
  for (const [name, sql] of Object.entries(attempts)) {
    for (const mode of ["origin", "replica"]) {
      it(`cannot ${name}${mode === "replica" ? ", nor by posing as a replica" : ""}`, async () => {
        const before = await state();
        expect(await refusal(`SET session_replication_role = ${mode}; ${sql()}`)).to.match(/^23/);
        expect(await state()).to.deep.equal(before);
      });
    }
  }

  it("can drop an old day whole", async () => {
    await psql("BEGIN; SELECT usage_make_partition('2024-01-01'); DROP TABLE usage_events_p20240101; COMMIT");
  });

  it("the proof names a call whose cost is not what the ledger charged, and guards that are off", async () => {
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
    const altered = (by: string) =>
      psql(
        `ALTER TABLE usage_events DISABLE TRIGGER usage_events_fixed, DISABLE TRIGGER usage_events_settled; UPDATE usage_events SET cost = cost ${by} WHERE id = '${settled}'`,
      );
    await altered("- 1000000");
    const { differences } = await rig.ledger.verify();
    await altered("+ 1000000");
    await psql("ALTER TABLE usage_events ENABLE ALWAYS TRIGGER usage_events_fixed, ENABLE ALWAYS TRIGGER usage_events_settled");
    expect(differences).to.deep.include({
      check: "a settled call says what its settlement charged",
      subject: `call ${settled}`,
      expected: "93",
      found: "92",
    });
    expect(differences.map((one) => one.subject)).to.include("usage_events.usage_events_fixed");
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
});
