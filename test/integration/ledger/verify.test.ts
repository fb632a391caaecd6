import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { CHECKS } from "../../../src/ledger/checks.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { useLedger } from "./support.ts";

const command = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../../src/main/ledger-verify.js");

/** Breaks each thing the proof is about, with the guards switched off, and puts it right again. */
describe("the proof", () => {
  const rig = useLedger();
  let wallet: bigint;
  let code: string;
  let limited: string;
  const budgets = [{ id: "key:verified", period: "m:2026-11", limit: 1_000_000n }];

  before(async () => {
    wallet = await rig.wallet(1_000_000n);
    await rig.hold(wallet, 100_000n, { budgets });
    limited = (await rig.hold(wallet, 20_000n, { budgets })).id;
    await rig.settle({ walletId: wallet, cost: 50_000n, id: "event", holdId: uuidv7() }, { walletId: wallet, cost: 20_000n, id: limited });
    const { rows } = await rig.pool.query<{ code: string }>("SELECT code FROM ledger_accounts WHERE id = $1", [wallet]);
    code = rows[0]!.code;
  });

  const withoutGuards = (table: string, sql: string) =>
    rig.psql(`ALTER TABLE ${table} DISABLE TRIGGER USER; ${sql};
      DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid = '${table}'::regclass AND NOT tgisinternal LOOP
          EXECUTE format('ALTER TABLE ${table} ENABLE ALWAYS TRIGGER %I', name);
        END LOOP; END $$`);

  const damages: { name: string; table: string; sql: () => string; undo: () => string; differences: () => object[] }[] = [
    {
      name: "a balance that no transfer explains",
      table: "ledger_accounts",
      sql: () => `UPDATE ledger_accounts SET balance = balance + 1 WHERE id = ${wallet}`,
      undo: () => `UPDATE ledger_accounts SET balance = balance - 1 WHERE id = ${wallet}`,
      differences: () => [
        { check: "the balances of an asset sum to zero", subject: "CREDIT", expected: "0", found: "0.000001" },
        { check: "a balance is the sum of the account's transfers", subject: code, expected: "0.93", found: "0.930001" },
        { check: "a wallet's balance is what is left of its grants", subject: code, expected: "0.93", found: "0.930001" },
      ],
    },
    {
      name: "credit moved between accounts behind the transfers' back, although the sum is still zero",
      table: "ledger_accounts",
      sql: () =>
        "UPDATE ledger_accounts SET balance = balance + CASE code WHEN 'revenue:usage' THEN -5 ELSE 5 END WHERE code IN ('revenue:usage', 'refunds')",
      undo: () =>
        "UPDATE ledger_accounts SET balance = balance - CASE code WHEN 'revenue:usage' THEN -5 ELSE 5 END WHERE code IN ('revenue:usage', 'refunds')",
      differences: () => [
        { check: "a balance is the sum of the account's transfers", subject: "refunds", expected: "0", found: "0.000005" },
        { check: "a balance is the sum of the account's transfers", subject: "revenue:usage", expected: "0.07", found: "0.069995" },
      ],
    },
    {
      name: "an altered amount",
      table: "ledger_transfers",
      sql: () => "UPDATE ledger_transfers SET amount = 49999 WHERE id = 'usage:event'",
      undo: () => "UPDATE ledger_transfers SET amount = 50000 WHERE id = 'usage:event'",
      differences: () => [
        { check: "a balance is the sum of the account's transfers", subject: code },
        { check: "a balance is the sum of the account's transfers", subject: "revenue:usage" },
        {
          check: "each balance after a transfer follows from the one before",
          subject: `${code} at usage:event`,
          expected: "0.950001",
          found: "0.95",
        },
        { check: "a debited wallet's grants were burned by as much", subject: "usage:event", expected: "0.049999", found: "0.05" },
        { check: "a settlement charged what its transfer says", subject: "usage:event", expected: "0.05", found: "0.049999" },
      ],
    },
    {
      name: "a deleted transfer",
      table: "ledger_transfers",
      sql: () =>
        "CREATE TABLE lost AS SELECT * FROM ledger_transfers WHERE id = 'usage:event'; DELETE FROM ledger_transfers WHERE id = 'usage:event'",
      undo: () => "INSERT INTO ledger_transfers OVERRIDING SYSTEM VALUE SELECT * FROM lost; DROP TABLE lost",
      differences: () => [
        { check: "a balance is the sum of the account's transfers", subject: code, expected: "0.98", found: "0.93" },
        { check: "a settlement charged what its transfer says", subject: "usage:event", expected: "0.05", found: "0" },
      ],
    },
    {
      name: "held credit that no hold explains",
      table: "ledger_accounts",
      sql: () => `UPDATE ledger_accounts SET held = held + 7 WHERE id = ${wallet}`,
      undo: () => `UPDATE ledger_accounts SET held = held - 7 WHERE id = ${wallet}`,
      differences: () => [{ check: "what is held is the sum of the open holds", subject: code, expected: "0.1", found: "0.100007" }],
    },
    {
      name: "a hold that was deleted while open",
      table: "ledger_holds",
      sql: () =>
        `CREATE TABLE lost AS SELECT * FROM ledger_holds WHERE wallet_id = ${wallet}; DELETE FROM ledger_holds WHERE wallet_id = ${wallet}`,
      undo: () => "INSERT INTO ledger_holds SELECT * FROM lost; DROP TABLE lost",
      differences: () => [{ check: "what is held is the sum of the open holds", subject: code, expected: "0", found: "0.1" }],
    },
    {
      name: "a grant that was refilled",
      table: "ledger_grants",
      sql: () => `UPDATE ledger_grants SET remaining = remaining + 3 WHERE wallet_id = ${wallet}`,
      undo: () => `UPDATE ledger_grants SET remaining = remaining - 3 WHERE wallet_id = ${wallet}`,
      differences: () => [
        { check: "a wallet's balance is what is left of its grants", subject: code, expected: "0.930003", found: "0.93" },
        { check: "what is left of a grant is what was not burned", expected: "0.93", found: "0.930003" },
      ],
    },
    {
      name: "a grant larger than its transfer",
      table: "ledger_grants",
      sql: () => `UPDATE ledger_grants SET amount = amount + 3 WHERE wallet_id = ${wallet}`,
      undo: () => `UPDATE ledger_grants SET amount = amount - 3 WHERE wallet_id = ${wallet}`,
      differences: () => [{ check: "a credited wallet has the grant of that transfer", expected: "1", found: "1.000003" }],
    },
    {
      name: "a burn that was altered",
      table: "ledger_burns",
      sql: () => "UPDATE ledger_burns SET amount = amount - 1 WHERE transfer_id = 'usage:event'",
      undo: () => "UPDATE ledger_burns SET amount = amount + 1 WHERE transfer_id = 'usage:event'",
      differences: () => [
        { check: "a debited wallet's grants were burned by as much", subject: "usage:event", expected: "0.05", found: "0.049999" },
      ],
    },
    {
      name: "a wallet below zero",
      table: "ledger_accounts",
      sql: () =>
        `ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_never_negative, DROP CONSTRAINT ledger_held_is_covered; UPDATE ledger_accounts SET balance = -930000 WHERE id = ${wallet}`,
      undo: () => `UPDATE ledger_accounts SET balance = 930000 WHERE id = ${wallet};
        ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_never_negative CHECK (kind = 'system' OR balance >= 0),
          ADD CONSTRAINT ledger_held_is_covered CHECK (CASE kind WHEN 'wallet' THEN held BETWEEN 0 AND balance ELSE held = 0 END)`,
      differences: () => [
        { check: "a wallet is not below zero", subject: code, expected: "0", found: "-0.93" },
        { check: "a wallet holds no more than it has", subject: code, expected: "0", found: "0.1" },
        { check: "the guards of the ledger are on", subject: "ledger_held_is_covered", found: "missing" },
        { check: "the guards of the ledger are on", subject: "ledger_never_negative", found: "missing" },
      ],
    },
    {
      name: "a wallet that forgets its next expiry",
      table: "ledger_accounts",
      sql: () => `UPDATE ledger_accounts SET next_expiry = '2100-01-01', last_seq = last_seq - 1 WHERE id = ${wallet}`,
      undo: () => `UPDATE ledger_accounts SET next_expiry = NULL, last_seq = last_seq + 1 WHERE id = ${wallet}`,
      differences: () => [
        { check: "an account knows its newest transfer", subject: code },
        { check: "a wallet knows its next expiry", subject: code, expected: "nothing" },
      ],
    },
    {
      name: "an event marked as settled behind the ledger's back, whose hold is still open",
      table: "ledger_settlements",
      sql: () =>
        `INSERT INTO ledger_settlements SELECT 'forged', id, wallet_id, 5, 0, 0, false FROM ledger_holds WHERE wallet_id = ${wallet} AND state = 'held'`,
      undo: () => "DELETE FROM ledger_settlements WHERE id = 'forged'",
      differences: () => [{ check: "a settled item's hold is closed", expected: "settled", found: "held" }],
    },
    {
      name: "a settlement that says something else than its transfer",
      table: "ledger_settlements",
      sql: () => "UPDATE ledger_settlements SET charged = charged - 1 WHERE id = 'event'",
      undo: () => "UPDATE ledger_settlements SET charged = charged + 1 WHERE id = 'event'",
      differences: () => [
        { check: "a settlement charged what its transfer says", subject: "usage:event", expected: "0.049999", found: "0.05" },
      ],
    },
  ];

  damages.push(
    {
      name: "a budget that spent less than was settled on it",
      table: "ledger_budgets",
      sql: () => "UPDATE ledger_budgets SET spent = 0",
      undo: () => "UPDATE ledger_budgets SET spent = 20000",
      differences: () => [
        { check: "what is spent of a budget is what was settled on it", subject: "key:verified m:2026-11", expected: "0.02", found: "0" },
      ],
    },
    {
      name: "a budget that holds what no call holds",
      table: "ledger_budgets",
      sql: () => "UPDATE ledger_budgets SET held = held + 7",
      undo: () => "UPDATE ledger_budgets SET held = held - 7",
      differences: () => [
        {
          check: "what a budget holds is the sum of its open holds",
          subject: "key:verified m:2026-11",
          expected: "0.1",
          found: "0.100007",
        },
      ],
    },
    {
      name: "a budget that was deleted while calls hold it",
      table: "ledger_budgets",
      sql: () => "CREATE TABLE lost AS SELECT * FROM ledger_budgets; DELETE FROM ledger_budgets",
      undo: () => "INSERT INTO ledger_budgets OVERRIDING SYSTEM VALUE SELECT * FROM lost; DROP TABLE lost",
      differences: () => [{ check: "what a budget holds is the sum of its open holds", expected: "0.1", found: "0" }],
    },
    {
      name: "a settlement taken off the budgets of its hold",
      table: "ledger_settlements",
      sql: () => `UPDATE ledger_settlements SET budgets = NULL WHERE id = '${limited}'`,
      undo: () => `UPDATE ledger_settlements s SET budgets = h.budgets FROM ledger_holds h WHERE h.id = s.hold_id AND s.id = '${limited}'`,
      differences: () => [
        { check: "what is spent of a budget is what was settled on it", expected: "0", found: "0.02" },
        { check: "a settlement counts on the budgets of its hold", subject: limited, found: "nothing" },
      ],
    },
  );

  for (const damage of damages) {
    it(`names ${damage.name}`, async () => {
      await withoutGuards(damage.table, damage.sql());
      const { balanced, differences } = await rig.ledger.verify();
      await withoutGuards(damage.table, damage.undo());
      expect(balanced).to.equal(false);
      for (const expected of damage.differences()) {
        const match = differences.some((one) => Object.entries(expected).every(([key, value]) => one[key as keyof typeof one] === value));
        expect(match, `${JSON.stringify(expected)} in ${JSON.stringify(differences, null, 1)}`).to.equal(true);
      }
    });
  }

  it("names a guard that is switched off", async () => {
    await rig.psql(
      "ALTER TABLE ledger_transfers DISABLE TRIGGER ledger_transfers_keep; ALTER TABLE ledger_burns ENABLE TRIGGER ledger_burns_keep",
    );
    const { differences } = await rig.ledger.verify();
    await rig.psql(
      "ALTER TABLE ledger_transfers ENABLE ALWAYS TRIGGER ledger_transfers_keep; ALTER TABLE ledger_burns ENABLE ALWAYS TRIGGER ledger_burns_keep",
    );
    expect(differences).to.deep.equal([
      { check: "the guards of the ledger are on", subject: "ledger_burns_keep", expected: "enabled always", found: "off for replicas" },
      { check: "the guards of the ledger are on", subject: "ledger_transfers_keep", expected: "enabled always", found: "disabled" },
    ]);
  });

  it("finds no fault in a day that is made while it reads", async () => {
    const { sql } = CHECKS.find(({ name }) => name === "the guards of recorded calls are on")!;
    const client = await rig.pool.connect();
    try {
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      await client.query("SELECT count(*) FROM ledger_accounts");
      await rig.psql("SELECT usage_make_partition('2031-05-05')");
      expect((await client.query(sql)).rows).to.deep.equal([]);
    } finally {
      await client.query("COMMIT");
      client.release();
    }
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });

  it("the command says balanced and exits 0, or names what differs and exits 1", async () => {
    const run = () => spawnSync(process.execPath, [command], { env: { ...process.env, DATABASE_URL: rig.url }, encoding: "utf8" });
    expect(run())
      .to.include({ status: 0, stderr: "" })
      .and.property("stdout")
      .match(/^\d+ accounts, \d+ transfers: balanced\n$/);
    await withoutGuards("ledger_accounts", `UPDATE ledger_accounts SET held = held + 7 WHERE id = ${wallet}`);
    const damaged = run();
    await withoutGuards("ledger_accounts", `UPDATE ledger_accounts SET held = held - 7 WHERE id = ${wallet}`);
    expect(damaged.status).to.equal(1);
    expect(damaged.stdout).to.include("NOT BALANCED").and.include(`${code}: expected 0.1, found 0.100007`);
  });
});
