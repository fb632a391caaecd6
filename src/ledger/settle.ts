import type { Queryable } from "../platform/postgres.ts";
import { noSuchWallet } from "./postings.ts";
import type { Tolerance } from "./rules.ts";
import type { SettleFollow, SettleItem, SettleResult } from "./types.ts";

interface SettledRow {
  id: string;
  charged: bigint;
  uncharged: bigint;
  owed: bigint;
  balance_after: bigint;
  replayed: boolean;
  hold_missing: boolean;
}

const column = <T>(items: readonly SettleItem[], pick: (item: SettleItem) => T) => items.map(pick);

/** The beginning of the parameters of both functions. */
const asked = (items: readonly SettleItem[]): unknown[] => [
  column(items, (item) => item.id),
  column(items, (item) => item.holdId),
  column(items, (item) => item.walletId),
  column(items, (item) => item.cost),
  column(items, (item) => item.owes ?? item.holdId === null),
];

const SETTLE = "ledger_settle($1, $2, $3, $4, $6, $7, $8, $9, $10, $11, $5)";

const settling = (items: readonly SettleItem[], tolerance: Tolerance): unknown[] => [
  ...asked(items),
  column(items, (item) => item.to),
  column(items, (item) => item.type),
  column(items, (item) => item.description),
  column(items, (item) => item.reference),
  tolerance.percent,
  tolerance.micro,
];

const resultOf = (row: SettledRow): SettleResult => ({
  id: row.id,
  charged: row.charged,
  uncharged: row.uncharged,
  owed: row.owed,
  balanceAfter: row.balance_after,
  replayed: row.replayed,
  holdMissing: row.hold_missing,
});

async function ask<Row extends object>(tx: Queryable, query: { name: string; text: string; values: unknown[] }): Promise<Row[]> {
  try {
    return (await tx.query<Row>(query)).rows;
  } catch (error) {
    throw noSuchWallet(error) ?? error;
  }
}

/**
 * Charges and closes the holds of a batch inside the caller's transaction, exactly once per item id; chargeFor in rules.ts is the rule.
 * Throws `not_found` when a wallet does not exist; then nothing of the batch was settled.
 */
export async function settle(tx: Queryable, items: readonly SettleItem[], tolerance: Tolerance): Promise<SettleResult[]> {
  if (items.length === 0) return [];
  const rows = await ask<SettledRow>(tx, { name: "ledger_settle", text: `SELECT * FROM ${SETTLE}`, values: settling(items, tolerance) });
  return rows.map(resultOf);
}

/** {@link settle} and what follows from it in one statement. */
export async function settleAnd(
  tx: Queryable,
  items: readonly SettleItem[],
  follow: SettleFollow,
  tolerance: Tolerance,
): Promise<{ results: SettleResult[]; followed: number }> {
  if (items.length === 0) return { results: [], followed: 0 };
  const values = settling(items, tolerance);
  const places = follow.values.map((_, n) => `, $${values.length + n + 1}`).join("");
  const rows = await ask<SettledRow & { followed: number }>(tx, {
    name: `ledger_settle_and_${follow.call}`,
    text: `WITH settled AS MATERIALIZED (SELECT * FROM ${SETTLE} WITH ORDINALITY AS s (id, charged, uncharged, balance_after, replayed, hold_missing, owed, n)),
        followed AS MATERIALIZED (
          SELECT ${follow.call}(array_agg(charged + owed ORDER BY n), array_agg(uncharged ORDER BY n)${places}) AS followed FROM settled)
      SELECT settled.*, followed.followed FROM settled CROSS JOIN followed ORDER BY n`,
    values: [...values, ...follow.values],
  });
  return { results: rows.map(resultOf), followed: rows[0]?.followed ?? 0 };
}

interface ForeseenRow {
  id: string;
  charge: bigint | null;
  balance: bigint | null;
  missing: boolean | null;
  owed: bigint | null;
  cost: bigint;
}

/**
 * What {@link settle} will answer in this transaction, from now on: wallets and holds are locked, and nothing that others share. Items that
 * were settled before are left out. Rejects with a lock time-out (isLockTimeout) when somebody keeps one of them for longer than `patienceMs`.
 */
export async function foresee(tx: Queryable, items: readonly SettleItem[], tolerance: Tolerance, patienceMs = 0): Promise<SettleResult[]> {
  if (items.length === 0) return [];
  const rows = await ask<ForeseenRow>(tx, {
    name: "ledger_foresee",
    text: `SELECT q.id, q.charge, q.balance, q.missing, q.owed, q.cost FROM ledger_foresee($1, $2, $3, $4, $5, $6, $7, $8) f
      CROSS JOIN unnest($1, $4, f.charges, f.balances, f.missing, f.owed) WITH ORDINALITY AS q (id, cost, charge, balance, missing, owed, n)
      ORDER BY q.n`,
    values: [...asked(items), tolerance.percent, tolerance.micro, Math.ceil(patienceMs)],
  });
  return rows.flatMap(({ id, charge, balance, missing, owed, cost }) =>
    charge === null
      ? []
      : [
          {
            id,
            charged: charge,
            uncharged: cost - charge - owed!,
            owed: owed!,
            balanceAfter: balance!,
            replayed: false,
            holdMissing: missing!,
          },
        ],
  );
}

/** Those of the wallets that nobody has locked at this moment; one that does not exist is locked by nobody. */
export async function unlocked(db: Queryable, walletIds: readonly bigint[]): Promise<ReadonlySet<bigint>> {
  if (walletIds.length === 0) return new Set();
  const { rows } = await db.query<{ id: bigint }>(
    `WITH free AS (SELECT id FROM ledger_accounts WHERE id = ANY ($1::bigint[]) AND kind = 'wallet' FOR NO KEY UPDATE SKIP LOCKED)
     SELECT q.id FROM unnest($1::bigint[]) AS q (id)
     WHERE q.id IN (SELECT id FROM free) OR NOT EXISTS (SELECT FROM ledger_accounts a WHERE a.id = q.id)`,
    [walletIds],
  );
  return new Set(rows.map(({ id }) => id));
}
