import type { Pool, Queryable } from "../platform/postgres.ts";
import { appError } from "../platform/errors.ts";
import { least } from "./rules.ts";
import type { Balance, GrantSource, HistoryFilter, HistoryItem, Incident, Page, Shortfall, TransferType } from "./types.ts";

/** The wallet of a user or a team, opened on first use. */
export async function ensureWallet(db: Queryable, owner: { type: "user" | "team"; id: string }): Promise<bigint> {
  const { rows } = await db.query<{ id: bigint }>("SELECT ledger_open_wallet($1, $2) AS id", [owner.type, owner.id]);
  return BigInt(rows[0]!.id);
}

interface GrantRow {
  balance: bigint;
  held: bigint;
  shortfall: bigint;
  source: GrantSource | null;
  amount: bigint | null;
  expires_at: Date | null;
  due: boolean | null;
}

/** Total, held, available and by source, as if everything due had already been taken out. Throws `not_found`. */
export async function readBalance(pool: Pool, walletId: bigint): Promise<Balance> {
  const { rows } = await pool.query<GrantRow>(
    `SELECT a.balance, a.held, a.shortfall, g.source, g.expires_at, g.expires_at <= now() AS due, sum(g.remaining)::bigint AS amount
     FROM ledger_accounts a LEFT JOIN ledger_grants g ON g.wallet_id = a.id AND g.remaining > 0
     WHERE a.id = $1 AND a.kind = 'wallet'
     GROUP BY a.id, g.source, g.expires_at, g.priority
     ORDER BY g.priority, g.expires_at NULLS LAST`,
    [walletId],
  );
  const first = rows[0];
  if (!first) throw appError("not_found", { message: "There is no such wallet" });
  let available = first.balance - first.held;
  let total = first.balance;
  const sources: Balance["sources"] = [];
  for (const row of rows) {
    if (row.source === null || row.amount === null) continue;
    // What has expired is gone, except what open holds still need.
    const gone = row.due ? least(row.amount, available) : 0n;
    total -= gone;
    available -= gone;
    if (row.amount > gone) sources.push({ source: row.source, amount: row.amount - gone, expiresAt: row.expires_at });
  }
  return { total, held: first.held, available, shortfall: first.shortfall, sources };
}

const LEGS = `(
    SELECT seq, id, type, amount, credit_balance_after AS balance_after, description, reference, source, expires_at, created_at, 0::bigint AS owed
    FROM ledger_transfers WHERE credit_account = $1
    UNION ALL
    SELECT seq, id, type, -amount, debit_balance_after, description, reference, NULL, NULL, created_at, 0
    FROM ledger_transfers WHERE debit_account = $1
    UNION ALL
    SELECT t.seq, t.id, t.type, 0, s.balance_after, t.description, t.reference, NULL, NULL, t.created_at, t.amount
    FROM ledger_shortfalls o JOIN ledger_transfers t ON t.seq = o.seq JOIN ledger_settlements s ON s.id = o.id
    WHERE o.wallet_id = $1
  ) leg
  WHERE ($2::text[] IS NULL OR type = ANY ($2)) AND ($3::text IS NULL OR reference = $3)
    AND ($4::timestamptz IS NULL OR created_at >= $4) AND ($5::timestamptz IS NULL OR created_at < $5)`;

interface LegRow {
  id: string;
  type: TransferType;
  amount: bigint;
  balance_after: bigint;
  description: string;
  reference: string | null;
  source: GrantSource | null;
  expires_at: Date | null;
  created_at: Date;
  owed: bigint;
}

/** The wallet's transfers, newest first; `from` is included, `to` is not. */
export async function readHistory(
  pool: Pool,
  walletId: bigint,
  filter: HistoryFilter,
  page: Page,
): Promise<{ items: HistoryItem[]; total: number }> {
  const values = [walletId, filter.types ?? null, filter.reference ?? null, filter.from ?? null, filter.to ?? null];
  const [count, list] = await Promise.all([
    pool.query<{ total: bigint }>(`SELECT count(*) AS total FROM ${LEGS}`, values),
    pool.query<LegRow>(`SELECT * FROM ${LEGS} ORDER BY seq DESC LIMIT $6 OFFSET $7`, [...values, page.pageSize, offset(page)]),
  ]);
  const items = list.rows.map((row) => ({
    id: row.id,
    type: row.type,
    amount: row.amount,
    ...(row.owed > 0n ? { owed: row.owed } : {}),
    balanceAfter: row.balance_after,
    description: row.description,
    reference: row.reference,
    source: row.source,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
  }));
  return { items, total: Number(count.rows[0]!.total) };
}

/** Those of the settled items of which something was or is owed. */
export async function readShortfalls(db: Queryable, ids: readonly string[]): Promise<Shortfall[]> {
  if (ids.length === 0) return [];
  const { rows } = await db.query<{ id: string; amount: bigint; collected: bigint; created_at: Date; collected_at: Date | null }>(
    "SELECT id, amount, collected, created_at, collected_at FROM ledger_shortfalls WHERE id = ANY ($1::text[])",
    [ids],
  );
  return rows.map(({ created_at: createdAt, collected_at: collectedAt, ...row }) => ({ ...row, createdAt, collectedAt }));
}

/** What was held for these calls, by id; those whose hold is forgotten are missing. */
export async function readHeld(pool: Pool, ids: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
  const { rows } = await pool.query<{ id: string; amount: bigint }>("SELECT id, amount FROM ledger_holds WHERE id = ANY ($1::uuid[])", [
    ids,
  ]);
  return new Map(rows.map(({ id, amount }) => [id, amount]));
}

/** Swept holds and costs that could not be charged, newest first. */
export async function readIncidents(pool: Pool, page: Page): Promise<{ items: Incident[]; total: number }> {
  const [count, list] = await Promise.all([
    pool.query<{ total: bigint }>("SELECT count(*) AS total FROM ledger_incidents"),
    pool.query<Incident>("SELECT id, kind, reference, details, at FROM ledger_incidents ORDER BY id DESC LIMIT $1 OFFSET $2", [
      page.pageSize,
      offset(page),
    ]),
  ]);
  return { items: list.rows, total: Number(count.rows[0]!.total) };
}

function offset(page: Page): number {
  return (page.page - 1) * page.pageSize;
}
