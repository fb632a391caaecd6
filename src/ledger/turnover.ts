import type { Queryable } from "../platform/postgres.ts";
import type { Turnover } from "./types.ts";

interface SumRow {
  n: bigint;
  type: Turnover["type"];
  source: Turnover["source"];
  amount: bigint;
}

/** Legs of a wallet newer than a seq; positive ones have a source. */
const LEGS = (newer: string) => `(
    SELECT t.id, t.type, t.source, t.amount, t.expires_at, t.created_at FROM ledger_transfers t
    WHERE t.credit_account = q.wallet AND t.seq > ${newer.replaceAll("SIDE", "credit_account")}
    UNION ALL
    SELECT t.id, t.type, NULL, -t.amount, g.expires_at, t.created_at FROM ledger_transfers t LEFT JOIN ledger_grants g ON g.id = t.grant_id
    WHERE t.debit_account = q.wallet AND t.seq > ${newer.replaceAll("SIDE", "debit_account")}
  ) l`;

function grouped(rows: readonly SumRow[], wallets: number): Turnover[][] {
  const sums: Turnover[][] = Array.from({ length: wallets }, () => []);
  for (const { n, type, source, amount } of rows) sums[Number(n) - 1]!.push({ type, source, amount });
  return sums;
}

/** What went in and out of wallets after a transfer (by its seq), by type and source, in the order asked. */
export async function turnoverAfter(tx: Queryable, asked: readonly { walletId: bigint; seq: bigint }[]): Promise<Turnover[][]> {
  const { rows } = await tx.query<SumRow>(
    `SELECT q.n, l.type, l.source, sum(l.amount)::bigint AS amount
     FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS q (wallet, seq, n) CROSS JOIN LATERAL ${LEGS("q.seq")}
     GROUP BY 1, 2, 3`,
    [asked.map(({ walletId }) => walletId), asked.map(({ seq }) => seq)],
  );
  return grouped(rows, asked.length);
}

/**
 * What of the turnover of wallets belongs to the time from a moment on, charges of calls left out: those belong to when their calls
 * began, which is not known here. (Those of rendered frames belong to when they were posted.) An allowance and an expiry belong to the period in which their credit ends, which may be before they
 * were posted; all else to when it was posted.
 */
export async function turnoverSince(tx: Queryable, asked: readonly { walletId: bigint; at: Date }[]): Promise<Turnover[][]> {
  // A day's grace, as a transaction may be posted later than it says it began.
  const newer = `coalesce((SELECT b.seq FROM ledger_transfers b WHERE b.SIDE = q.wallet AND b.created_at < least(q.at, now()) - interval '1 day'
    ORDER BY b.SIDE DESC, b.seq DESC LIMIT 1), 0)`;
  const { rows } = await tx.query<SumRow>(
    `SELECT q.n, l.type, l.source, sum(l.amount)::bigint AS amount
     FROM unnest($1::bigint[], $2::timestamptz[]) WITH ORDINALITY AS q (wallet, at, n) CROSS JOIN LATERAL ${LEGS(newer)}
     WHERE (l.id NOT LIKE 'usage:%' OR l.id LIKE 'usage:render:%') AND CASE WHEN l.type IN ('ALLOWANCE', 'EXPIRY') THEN l.expires_at > q.at ELSE l.created_at >= q.at END
     GROUP BY 1, 2, 3`,
    [asked.map(({ walletId }) => walletId), asked.map(({ at }) => at)],
  );
  return grouped(rows, asked.length);
}

/**
 * Those of the wallets on which a hold of a call that was made before its moment is still open. Render tasks may be held for weeks; what
 * they are charged belongs to when it is posted, so that nobody need wait for them. Holds of `except` do not count either.
 */
export async function holdingSince(
  tx: Queryable,
  asked: readonly { walletId: bigint; before: Date }[],
  except: readonly string[] = [],
): Promise<Set<bigint>> {
  const { rows } = await tx.query<{ wallet: bigint }>(
    `SELECT DISTINCT q.wallet FROM unnest($1::bigint[], $2::timestamptz[]) AS q (wallet, before)
     JOIN ledger_holds h ON h.state = 'held' AND h.wallet_id = q.wallet AND h.created_at < q.before AND h.owner NOT LIKE 'render:%'
       AND h.id <> ALL ($3::uuid[])`,
    [asked.map(({ walletId }) => walletId), asked.map(({ before }) => before), except],
  );
  return new Set(rows.map(({ wallet }) => wallet));
}
