import type { HistoryItem, Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import type { HistoryQuery } from "./schema.ts";

/** What happened on a wallet, newest first. */
export type History = (walletId: bigint, userId: string, query: HistoryQuery) => Promise<object>;

type Item = Pick<HistoryItem, "id" | "type" | "amount" | "balanceAfter" | "description" | "reference" | "source" | "createdAt">;

const view = (item: Item) => ({
  id: item.id,
  type: item.type,
  amount: formatCredits(item.amount),
  balance_after: formatCredits(item.balanceAfter),
  description: item.description,
  reference: item.reference,
  source: item.source,
  created_at: item.createdAt.toISOString(),
});

/** Charges of calls, found by what was called: the ledger names a charge after its usage event. */
const CALLS = `FROM usage_events u JOIN ledger_transfers t ON t.id = 'usage:' || u.id AND t.debit_account = $2
  WHERE u.user_id = $1 AND ($3::text IS NULL OR lower(u.model) = lower($3)) AND ($4::uuid IS NULL OR u.key_id = $4)
    AND ($5::timestamptz IS NULL OR t.created_at >= $5) AND ($6::timestamptz IS NULL OR t.created_at < $6)`;

interface CallRow {
  id: string;
  amount: bigint;
  balance_after: bigint;
  description: string;
  reference: string | null;
  created_at: Date;
}

/** The ledger's history; with `model` or `key` only charges of calls can match. */
export function createHistory(deps: { pool: Pool; ledger: Pick<Ledger, "history"> }): History {
  async function ofCalls(walletId: bigint, userId: string, query: HistoryQuery) {
    const values = [userId, walletId, query.model ?? null, query.key ?? null, query.from ?? null, query.to ?? null];
    const [list, count] = await Promise.all([
      deps.pool.query<CallRow>(
        `SELECT t.id, -t.amount AS amount, t.debit_balance_after AS balance_after, t.description, t.reference, t.created_at ${CALLS}
         ORDER BY t.seq DESC LIMIT $7 OFFSET $8`,
        [...values, query.page_size, (query.page - 1) * query.page_size],
      ),
      deps.pool.query<{ total: bigint }>(`SELECT count(*) AS total ${CALLS}`, values),
    ]);
    const items = list.rows.map((row): Item => ({
      ...row,
      type: "CONSUMPTION",
      balanceAfter: row.balance_after,
      source: null,
      createdAt: row.created_at,
    }));
    return { items, total: Number(count.rows[0]!.total) };
  }

  return async (walletId, userId, query) => {
    const { page, page_size } = query;
    const byCall = query.model !== undefined || query.key !== undefined;
    const filter = {
      ...(query.type ? { types: [query.type] } : {}),
      ...(query.from ? { from: query.from } : {}),
      ...(query.to ? { to: query.to } : {}),
    };
    const none: { items: Item[]; total: number } = { items: [], total: 0 };
    const found = byCall
      ? query.type === undefined || query.type === "CONSUMPTION"
        ? await ofCalls(walletId, userId, query)
        : none
      : await deps.ledger.history(walletId, filter, { page, pageSize: page_size });
    return { items: found.items.map(view), total: found.total, page, page_size };
  };
}
