import { expect } from "chai";
import type { Budget } from "../../../src/ledger/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { refusal } from "./errors.ts";
import { credit, useLedger } from "./support.ts";

/** Every statement here runs as the owner of the tables, over a plain connection. */
describe("someone with SQL access", () => {
  const rig = useLedger();
  let wallet: bigint;
  let hold: string;
  let budgets: Budget[];

  /** An INSERT of one transfer in which `columns` replaces what would be right. */
  function transfer(columns: Record<string, string>): string {
    const row = {
      id: `'raw:${uuidv7()}'`,
      debit_account: `${wallet}`,
      credit_account: account("adjustments"),
      amount: "10",
      type: "'ADMIN'",
      description: "'raw'",
      debit_balance_after: `(SELECT balance - 10 FROM ledger_accounts WHERE id = ${wallet})`,
      credit_balance_after: "(SELECT balance + 10 FROM ledger_accounts WHERE code = 'adjustments')",
      ...columns,
    };
    return `INSERT INTO ledger_transfers (${Object.keys(row).join(", ")}) OVERRIDING SYSTEM VALUE VALUES (${Object.values(row).join(", ")})`;
  }
  const account = (code: string) => `(SELECT id FROM ledger_accounts WHERE code = '${code}')`;

  const stranger = uuidv7();
  const closed = () => `UPDATE ledger_holds SET state = 'settled', closed_at = now() WHERE id = '${hold}'`;
  /** An INSERT of a settlement of the open hold, for nothing unless `columns` says otherwise. */
  function settlement(columns: Record<string, string>): string {
    const row = {
      id: `'${hold}'`,
      hold_id: `'${hold}'`,
      wallet_id: `${wallet}`,
      cost: "0",
      charged: "0",
      balance_after: `(SELECT balance FROM ledger_accounts WHERE id = ${wallet})`,
      hold_missing: "false",
      budgets: `(SELECT budgets FROM ledger_holds WHERE id = '${hold}')`,
      ...columns,
    };
    return `INSERT INTO ledger_settlements (${Object.keys(row).join(", ")}) VALUES (${Object.values(row).join(", ")})`;
  }
  const missing = { hold_missing: "true", budgets: "NULL" };
  const incident = ({ kind, cost }: { kind: string; cost: number }) =>
    `INSERT INTO ledger_incidents (kind, reference, details) VALUES ('${kind}', '${hold}', jsonb_build_object('wallet', '${wallet}',
      'hold', '${kind === "uncharged" ? hold : stranger}'::uuid, 'cost', '${cost}', 'charged', '0', 'uncharged', '${cost}'))`;

  /** Runs a statement inside a trigger that belongs to whoever runs it. */
  const lever = (sql: string) => `
    CREATE TEMP TABLE lever (n int);
    CREATE FUNCTION pg_temp.pull() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${sql}; RETURN NULL; END $$;
    CREATE TRIGGER pull AFTER INSERT ON lever FOR EACH ROW EXECUTE FUNCTION pg_temp.pull();
    ALTER TABLE lever ENABLE ALWAYS TRIGGER pull;
    INSERT INTO lever VALUES (1)`;

  before(async () => {
    wallet = await rig.wallet(1_000n);
    budgets = ["d:2026-11-21", "total"].map((period) => ({ id: "key:tampering", period, limit: 500n }));
    hold = (await rig.hold(wallet, 100n, { budgets })).id;
    await rig.settle({ walletId: wallet, cost: 50n, id: (await rig.hold(wallet, 60n, { budgets })).id });
    await rig.ledger.credit(rig.pool, { ...credit(wallet, 70n), source: "bonus", type: "BONUS" });
  });

  const attempts: Record<string, () => string> = {
    "change an amount": () => "UPDATE ledger_transfers SET amount = amount + 1",
    "change a description": () => "UPDATE ledger_transfers SET description = 'nothing'",
    "delete a transfer": () => "DELETE FROM ledger_transfers",
    "empty the transfers": () => "TRUNCATE ledger_transfers",
    "overwrite a transfer by inserting it again": () => `${transfer({})} ON CONFLICT (id) DO UPDATE SET amount = 1`,
    "add to a balance": () => `UPDATE ledger_accounts SET balance = balance + 1000 WHERE id = ${wallet}`,
    "move a balance between accounts so that the sum stays": () =>
      `UPDATE ledger_accounts SET balance = balance + CASE WHEN id = ${wallet} THEN 5 ELSE -5 END WHERE id = ${wallet} OR code = 'adjustments'`,
    "pretend an earlier balance": () =>
      `UPDATE ledger_accounts a SET (balance, last_seq) = (SELECT credit_balance_after, seq FROM ledger_transfers WHERE credit_account = a.id ORDER BY seq LIMIT 1) WHERE id = ${wallet}`,
    "free what is held": () => `UPDATE ledger_accounts SET held = 0 WHERE id = ${wallet}`,
    "make credit last forever": () => `UPDATE ledger_accounts SET next_expiry = 'infinity' WHERE id = ${wallet}`,
    "rename a wallet": () => `UPDATE ledger_accounts SET code = 'wallet:user:someone' WHERE id = ${wallet}`,
    "turn a wallet into a system account": () => `UPDATE ledger_accounts SET kind = 'system', code = 'mine' WHERE id = ${wallet}`,
    "open an account with credit": () => "INSERT INTO ledger_accounts (code, kind, balance) VALUES ('wallet:user:rich', 'wallet', 1000)",
    "delete an account": () => `DELETE FROM ledger_accounts WHERE id = ${wallet}`,
    "empty the accounts": () => "TRUNCATE ledger_accounts CASCADE",
    "refill a grant": () => `UPDATE ledger_grants SET remaining = amount WHERE wallet_id = ${wallet}`,
    "burn a grant without a transfer": () => `UPDATE ledger_grants SET remaining = 0 WHERE wallet_id = ${wallet}`,
    "extend a grant": () => `UPDATE ledger_grants SET expires_at = 'infinity' WHERE wallet_id = ${wallet}`,
    "make a grant": () =>
      `INSERT INTO ledger_grants (wallet_id, source, priority, amount, remaining, transfer_id) VALUES (${wallet}, 'bonus', 1, 5, 5, 'x')`,
    "delete grants": () => "DELETE FROM ledger_grants",
    "make a burn": () => `INSERT INTO ledger_burns SELECT transfer_id, 999, 1 FROM ledger_burns LIMIT 1`,
    "delete burns": () => "DELETE FROM ledger_burns",
    "shrink a hold": () => `UPDATE ledger_holds SET amount = 1 WHERE id = '${hold}'`,
    "move a hold to another wallet": () => `UPDATE ledger_holds SET wallet_id = wallet_id + 1 WHERE id = '${hold}'`,
    "delete an open hold": () => `DELETE FROM ledger_holds WHERE id = '${hold}'`,
    "empty the holds": () => "TRUNCATE ledger_holds",
    "make a closed hold": () =>
      `INSERT INTO ledger_holds (id, wallet_id, amount, state, owner, expires_at, closed_at) VALUES ('${uuidv7()}', ${wallet}, 1, 'settled', 'x', now(), now())`,
    "hold more than there is": () =>
      `INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at) VALUES ('${uuidv7()}', ${wallet}, 5000, 'x', now())`,
    "hold on no wallet": () =>
      `INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at) VALUES ('${uuidv7()}', 999999, 0, 'x', now())`,
    "mark a running call as settled, which would make it free": () => settlement({}),
    "mark a call without a hold as settled": () => settlement({ ...missing, hold_id: `'${uuidv7()}'` }),
    "close a hold and settle its call for less than it held": () =>
      `${closed()}; ${incident({ kind: "uncharged", cost: 50 })}; ${settlement({ cost: "50" })}`,
    "settle a call for nothing without an incident": () => settlement({ ...missing, hold_id: `'${uuidv7()}'`, cost: "50" }),
    "settle a call with an incident that says something else": () =>
      `${incident({ kind: "hold_missing", cost: 49 })}; ${settlement({ ...missing, hold_id: `'${stranger}'`, cost: "50" })}`,
    "settle a call by a charge that no transfer made": () => `${closed()}; ${settlement({ cost: "50", charged: "50" })}`,
    "settle two calls by one hold": () => `${closed()}; ${settlement({})}; ${settlement({ id: "'another'" })}`,
    "settle a call for an earlier day": () => `${closed()}; ${settlement({ created_at: "now() - interval '1 day'" })}`,
    "report an incident of a call that was never settled": () => incident({ kind: "uncharged", cost: 50 }),
    "spend less of a budget": () => "UPDATE ledger_budgets SET spent = 0 WHERE id = 'key:tampering'",
    "spend more of a budget": () => "UPDATE ledger_budgets SET spent = spent + 1 WHERE id = 'key:tampering' AND period = 'total'",
    "free what is held of a budget": () => "UPDATE ledger_budgets SET held = 0 WHERE id = 'key:tampering'",
    "give a budget another beginning": () => "UPDATE ledger_budgets SET opening = opening + 1, spent = spent + 1",
    "rename a budget": () => "UPDATE ledger_budgets SET id = 'key:other' WHERE id = 'key:tampering'",
    "move a budget to another period": () => "UPDATE ledger_budgets SET period = 'd:2026-11-22' WHERE period = 'd:2026-11-21'",
    "delete a budget that counts": () => "DELETE FROM ledger_budgets WHERE id = 'key:tampering' AND period = 'total'",
    "empty the budgets": () => "TRUNCATE ledger_budgets",
    "open a budget with something held": () => "INSERT INTO ledger_budgets (id, period, held) VALUES ('key:x', 'total', 5)",
    "open a budget that has spent what nobody said": () => "INSERT INTO ledger_budgets (id, period, spent) VALUES ('key:x', 'total', 5)",
    "take a hold off its budgets": () => `UPDATE ledger_holds SET budgets = NULL WHERE id = '${hold}'`,
    "put a hold on other budgets when it closes": () =>
      `UPDATE ledger_holds SET budgets = budgets[1:1], state = 'released', closed_at = now() WHERE id = '${hold}'`,
    "hold on a budget that is not there": () =>
      `INSERT INTO ledger_holds (id, wallet_id, amount, owner, expires_at, budgets) VALUES ('${uuidv7()}', ${wallet}, 1, 'x', now(), '{999999}')`,
    "settle a call without its budgets": () => `${closed()}; ${settlement({ budgets: "NULL" })}`,
    "settle a call on other budgets": () => `${closed()}; ${settlement({ budgets: "'{999999}'" })}`,
    "pass for the function that counts budgets": () => `
      CREATE TEMP TABLE fake (id text, no bigint, budgets bigint[], charged bigint);
      CREATE TRIGGER fake AFTER INSERT ON fake REFERENCING NEW TABLE AS settled FOR EACH STATEMENT EXECUTE FUNCTION ledger_count_settled();
      ALTER TABLE fake ENABLE ALWAYS TRIGGER fake;
      INSERT INTO fake VALUES ('x', 1, (SELECT array_agg(no) FROM ledger_budgets), -50)`,
    "undo a settlement": () => "DELETE FROM ledger_settlements",
    "delete incidents": () => "DELETE FROM ledger_incidents",
    "post a negative amount": () => transfer({ amount: "-10" }),
    "post nothing": () => transfer({ amount: "0" }),
    "post to the account it comes from": () => transfer({ credit_account: `${wallet}` }),
    "post from no account": () => transfer({ debit_account: "999999" }),
    "post to no account": () => transfer({ credit_account: "999999" }),
    "post in another asset": () => transfer({ asset: "'GOLD'" }),
    "post more than the wallet has": () =>
      transfer({
        amount: "5000",
        debit_balance_after: `(SELECT balance - 5000 FROM ledger_accounts WHERE id = ${wallet})`,
        credit_balance_after: "(SELECT balance + 5000 FROM ledger_accounts WHERE code = 'adjustments')",
      }),
    "post what calls hold": () =>
      transfer({
        amount: "1000",
        debit_balance_after: `(SELECT balance - 1000 FROM ledger_accounts WHERE id = ${wallet})`,
        credit_balance_after: "(SELECT balance + 1000 FROM ledger_accounts WHERE code = 'adjustments')",
      }),
    "post with a wrong balance after": () => transfer({ debit_balance_after: "12345" }),
    "post with a wrong balance after on the other side": () => transfer({ credit_balance_after: "12345" }),
    "post into the past": () => transfer({ created_at: "now() - interval '1 day'" }),
    "post before transfers that are there": () => transfer({ seq: "-1" }),
    "post far ahead, so that nothing can follow": () => transfer({ seq: "9000000000000000000" }),
    "post under an id that is taken": () => transfer({ id: "(SELECT id FROM ledger_transfers LIMIT 1)" }),
    "post with an unknown type": () => transfer({ type: "'GIFT'" }),
    "burn someone else's grant": () => transfer({ grant_id: "(SELECT max(id) + 1 FROM ledger_grants)" }),
    "burn more of a grant than it has": () =>
      transfer({
        amount: "100",
        debit_balance_after: `(SELECT balance - 100 FROM ledger_accounts WHERE id = ${wallet})`,
        credit_balance_after: "(SELECT balance + 100 FROM ledger_accounts WHERE code = 'adjustments')",
        grant_id: `(SELECT id FROM ledger_grants WHERE wallet_id = ${wallet} AND source = 'bonus')`,
      }),
    "credit a wallet without saying from what source": () =>
      transfer({
        debit_account: account("adjustments"),
        credit_account: `${wallet}`,
        debit_balance_after: "(SELECT balance - 10 FROM ledger_accounts WHERE code = 'adjustments')",
        credit_balance_after: `(SELECT balance + 10 FROM ledger_accounts WHERE id = ${wallet})`,
      }),
    "use a trigger of their own to reach a balance": () => lever("UPDATE ledger_accounts SET balance = balance + 1"),
    "use a trigger of their own to free what is held": () => lever(`UPDATE ledger_accounts SET held = 0 WHERE id = ${wallet}`),
    "use a trigger of their own to hold what no call holds": () => lever(`UPDATE ledger_accounts SET held = held + 1 WHERE id = ${wallet}`),
    "use a trigger of their own to make credit last": () =>
      lever(`UPDATE ledger_accounts SET next_expiry = 'infinity' WHERE id = ${wallet}`),
    "use a trigger of their own to make a grant": () =>
      lever(
        `INSERT INTO ledger_grants (wallet_id, source, priority, amount, remaining, transfer_id) VALUES (${wallet}, 'bonus', 1, 5, 5, 'x')`,
      ),
    "use a trigger of their own to burn a grant": () => lever(`UPDATE ledger_grants SET remaining = 0 WHERE wallet_id = ${wallet}`),
    "use a trigger of their own to add a burn to a transfer": () =>
      lever(`INSERT INTO ledger_burns SELECT b.transfer_id, g.id, 1 FROM ledger_grants g, (SELECT * FROM ledger_burns LIMIT 1) b
        WHERE g.id <> b.grant_id LIMIT 1`),
    "hang the ledger's own trigger function on a table of theirs": () => `
      CREATE TEMP TABLE fake (wallet_id bigint, amount bigint);
      CREATE TRIGGER fake AFTER INSERT ON fake REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION ledger_count_opened();
      ALTER TABLE fake ENABLE ALWAYS TRIGGER fake;
      INSERT INTO fake VALUES (${wallet}, -100)`,
    "pass for the ledger's own function by name and by the words of its statement": () => `
      CREATE SCHEMA posing;
      SET LOCAL search_path = posing;
      CREATE TEMP TABLE opened AS SELECT ${wallet}::bigint AS wallet_id, -100::bigint AS amount;
      CREATE FUNCTION ledger_count_opened() RETURNS void LANGUAGE plpgsql SET search_path = posing AS $$ BEGIN
        UPDATE public.ledger_accounts a SET held = a.held + d.amount FROM (SELECT wallet_id, sum(amount)::bigint AS amount FROM opened GROUP BY wallet_id) d WHERE a.id = d.wallet_id AND a.kind = 'wallet';
      END $$;
      SELECT posing.ledger_count_opened()`,
    "pass for the ledger's own function by a comment": () => `
      DO $$ BEGIN
        EXECUTE E'UPDATE ledger_accounts SET held = 0 WHERE id = ${wallet} /* "\nPL/pgSQL function public.ledger_count_opened() line 9 at SQL statement */';
      END $$`,
  };

  for (const [name, sql] of Object.entries(attempts)) {
    for (const mode of ["origin", "replica"]) {
      it(`cannot ${name}${mode === "replica" ? ", nor by posing as a replica" : ""}`, async () => {
        const before = await state();
        // Class 23 is an integrity constraint: refused for what it does, not for how it is written.
        expect(await refusal(rig.psql(`SET session_replication_role = ${mode}; ${sql()}`))).to.match(/^23/);
        expect(await state()).to.deep.equal(before);
      });
    }
  }

  it("who inserts a correct transfer has posted it properly: balances, grants and burns follow", async () => {
    const before = (await rig.ledger.balance(wallet)).total;
    await rig.psql(transfer({}));
    expect((await rig.ledger.balance(wallet)).total).to.equal(before - 10n);
    const twoWallets = transfer({
      credit_account: `${await rig.wallet(5n)}`,
      source: "'bonus'",
      priority: "1",
      credit_balance_after: "15",
    });
    await rig.psql(twoWallets);
    expect((await rig.ledger.balance(wallet)).total).to.equal(before - 20n);
  });

  it("a temporary table of the same name cannot take a ledger table's place", async () => {
    const before = (await rig.ledger.balance(wallet)).total;
    await rig.psql(`CREATE TEMP TABLE ledger_accounts AS SELECT * FROM public.ledger_accounts;
      CREATE TEMP TABLE ledger_grants AS SELECT * FROM public.ledger_grants;
      INSERT INTO public.ledger_transfers (id, debit_account, credit_account, amount, type, description, debit_balance_after, credit_balance_after)
      SELECT 'raw:temp', ${wallet}, s.id, 10, 'ADMIN', 'raw', w.balance - 10, s.balance + 10
      FROM public.ledger_accounts w, public.ledger_accounts s WHERE w.id = ${wallet} AND s.code = 'adjustments'`);
    expect((await rig.ledger.balance(wallet)).total).to.equal(before - 10n);
  });

  async function state(): Promise<unknown> {
    const { rows } = await rig.psql(`SELECT
      (SELECT md5(string_agg(t::text, '|' ORDER BY seq)) FROM ledger_transfers t) AS transfers,
      (SELECT md5(string_agg(a::text, '|' ORDER BY id)) FROM ledger_accounts a) AS accounts,
      (SELECT md5(string_agg(g::text, '|' ORDER BY id)) FROM ledger_grants g) AS grants,
      (SELECT md5(string_agg(h::text, '|' ORDER BY id)) FROM ledger_holds h) AS holds,
      (SELECT md5(string_agg(b::text, '|' ORDER BY no)) FROM ledger_budgets b) AS budgets,
      (SELECT count(*) FROM ledger_burns) AS burns, (SELECT count(*) FROM ledger_settlements) AS settlements`);
    return rows[0];
  }
});
