import type { Queryable } from "../platform/postgres.ts";

/** What was bought on wallets in all, less what was refunded, in micro-credits; wallets on which nothing was are left out. */
export async function purchasedOn(db: Queryable, walletIds: readonly bigint[]): Promise<Map<bigint, bigint>> {
  const { rows } = await db.query<{ wallet: bigint; paid: bigint }>(
    `SELECT wallet, sum(amount)::bigint AS paid FROM (
       SELECT credit_account AS wallet, amount FROM ledger_transfers WHERE credit_account = ANY ($1) AND type = 'PURCHASE'
       UNION ALL
       SELECT wallet_id, -b.amount FROM ledger_grants g JOIN ledger_burns b ON b.grant_id = g.id
         JOIN ledger_transfers t ON t.id = b.transfer_id AND t.type = 'REFUND'
       WHERE g.wallet_id = ANY ($1) AND g.source = 'purchase'
     ) moved GROUP BY wallet`,
    [walletIds],
  );
  return new Map(rows.map(({ wallet, paid }) => [wallet, paid]));
}
