import type { HistoryItem, Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import { burnsOf, callsOf, type Burned, type ChargedCall } from "./details.ts";
import type { HistoryFilter, HistoryQuery } from "./schema.ts";

/** What happened on a wallet. */
export interface History {
  /** A page, newest first. */
  list(walletId: bigint, userId: string, query: HistoryQuery): Promise<object>;
  /** All of it, oldest first, for exports. */
  pages(walletId: bigint, filter: HistoryFilter): AsyncGenerator<HistoryView[]>;
}

type Item = Pick<HistoryItem, "id" | "type" | "amount" | "owed" | "balanceAfter" | "description" | "reference" | "source" | "createdAt">;

function view(item: Item, call: ChargedCall | undefined) {
  return {
    id: item.id,
    type: item.type,
    amount: formatCredits(item.amount),
    shortfall: item.owed === undefined ? null : formatCredits(item.owed),
    balance_after: formatCredits(item.balanceAfter),
    description: item.description,
    reference: item.reference,
    source: item.source,
    created_at: item.createdAt.toISOString(),
    call: call ?? null,
  };
}
export type HistoryView = ReturnType<typeof view>;

const shown = (item: HistoryView, burned: readonly Burned[]) => ({ ...item, burned });

const CALL =
  "u.wallet_id = $2 AND u.user_id = $1 AND ($3::text IS NULL OR lower(u.model) = lower($3)) AND ($4::uuid IS NULL OR u.key_id = $4)";

/**
 * Charges of calls, found by what was called: the ledger names a charge, and what is owed of one, after its usage event; what was paid of
 * that later refers to it.
 */
const CALLS = `FROM (
    SELECT u.id AS call, t.* FROM usage_events u
    JOIN ledger_transfers t ON t.id IN ('usage:' || u.id, 'shortfall:' || u.id) AND (t.debit_account = $2 OR t.id LIKE 'shortfall:%')
    WHERE ${CALL}
    UNION ALL
    SELECT u.id, t.* FROM ledger_shortfalls o JOIN usage_events u ON u.id::text = o.id
    JOIN ledger_transfers t ON t.debit_account = o.wallet_id AND t.id LIKE 'collect:%' AND t.reference = o.id
    WHERE o.wallet_id = $2 AND o.collected > 0 AND ${CALL}
  ) t WHERE ($5::timestamptz IS NULL OR t.created_at >= $5) AND ($6::timestamptz IS NULL OR t.created_at < $6)`;

const LEGS = `SELECT * FROM (
    SELECT seq, id, type, amount, credit_balance_after AS balance_after, description, reference, source, created_at, 0::bigint AS owed
    FROM ledger_transfers WHERE credit_account = $1 AND seq > $2
    UNION ALL
    SELECT seq, id, type, -amount, debit_balance_after, description, reference, NULL, created_at, 0
    FROM ledger_transfers WHERE debit_account = $1 AND seq > $2
    UNION ALL
    SELECT t.seq, t.id, t.type, 0, s.balance_after, t.description, t.reference, NULL, t.created_at, t.amount
    FROM ledger_shortfalls o JOIN ledger_transfers t ON t.seq = o.seq JOIN ledger_settlements s ON s.id = o.id
    WHERE o.wallet_id = $1 AND o.seq > $2
  ) leg WHERE ($3::text[] IS NULL OR type = ANY ($3)) AND ($4::timestamptz IS NULL OR created_at >= $4) AND created_at < $5
  ORDER BY seq LIMIT $6`;

interface TransferRow {
  seq: bigint;
  id: string;
  type: Item["type"];
  amount: bigint;
  owed: bigint;
  balance_after: bigint;
  description: string;
  reference: string | null;
  source: Item["source"];
  created_at: Date;
}

const itemOf = ({ owed, ...row }: TransferRow): Item => ({
  ...row,
  ...(owed > 0n ? { owed } : {}),
  balanceAfter: row.balance_after,
  createdAt: row.created_at,
});

const PAGE = 2_000;
const CONSUMPTION = "CONSUMPTION";

/** The types that can be meant: with a model or a key, only charges of calls. */
function typesOf({ type, model, key }: HistoryFilter): Item["type"][] | undefined {
  if (model === undefined && key === undefined) return type;
  return type === undefined || type.includes(CONSUMPTION) ? [CONSUMPTION] : [];
}

/** The history of wallets. */
export function createHistory(deps: { pool: Pool; ledger: Pick<Ledger, "history"> }): History {
  const { pool } = deps;

  async function ofCalls(walletId: bigint, userId: string, query: HistoryQuery) {
    const values = [userId, walletId, query.model ?? null, query.key ?? null, query.from ?? null, query.to ?? null];
    const [list, count] = await Promise.all([
      pool.query<TransferRow>(
        `SELECT t.seq, t.id, t.type, CASE WHEN t.debit_account = $2 THEN -t.amount ELSE 0 END AS amount,
           CASE WHEN t.debit_account = $2 THEN 0 ELSE t.amount END AS owed,
           CASE WHEN t.debit_account = $2 THEN t.debit_balance_after
             ELSE (SELECT s.balance_after FROM ledger_settlements s WHERE s.id = t.call::text) END AS balance_after,
           t.description, t.reference, NULL AS source, t.created_at ${CALLS} ORDER BY t.seq DESC LIMIT $7 OFFSET $8`,
        [...values, query.page_size, (query.page - 1) * query.page_size],
      ),
      pool.query<{ total: bigint }>(`SELECT count(*) AS total ${CALLS}`, values),
    ]);
    return { items: list.rows.map(itemOf), total: Number(count.rows[0]!.total) };
  }

  async function find(walletId: bigint, userId: string, query: HistoryQuery): Promise<{ items: Item[]; total: number }> {
    const types = typesOf(query);
    if (types?.length === 0) return { items: [], total: 0 };
    if (query.model !== undefined || query.key !== undefined) return ofCalls(walletId, userId, query);
    const filter = { ...(types ? { types } : {}), ...(query.from ? { from: query.from } : {}), ...(query.to ? { to: query.to } : {}) };
    return deps.ledger.history(walletId, filter, { page: query.page, pageSize: query.page_size });
  }

  return {
    async list(walletId, userId, query) {
      const { items, total } = await find(walletId, userId, query);
      const [calls, burns] = await Promise.all([
        callsOf(pool, items),
        burnsOf(
          pool,
          items.map(({ id }) => id),
        ),
      ]);
      return {
        items: items.map((item) => shown(view(item, calls.get(item.id)), item.amount < 0n ? (burns.get(item.id) ?? []) : [])),
        total,
        page: query.page,
        page_size: query.page_size,
      };
    },

    async *pages(walletId, filter) {
      const types = typesOf(filter);
      if (types?.length === 0) return;
      const upTo = filter.to ?? new Date();
      for (let after = 0n; ;) {
        const { rows } = await pool.query<TransferRow>(LEGS, [walletId, after, types ?? null, filter.from ?? null, upTo, PAGE]);
        const items = rows.map(itemOf);
        const calls = await callsOf(pool, items);
        const matches = (call: ChargedCall | undefined) =>
          (filter.model === undefined || call?.model.toLowerCase() === filter.model.toLowerCase()) &&
          (filter.key === undefined || call?.key_id === filter.key);
        const found = items.filter((item) => matches(calls.get(item.id))).map((item) => view(item, calls.get(item.id)));
        if (found.length > 0) yield found;
        if (rows.length < PAGE) return;
        after = rows.at(-1)!.seq;
      }
    },
  };
}
