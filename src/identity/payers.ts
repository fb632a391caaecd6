import type { Pool } from "../platform/postgres.ts";

/** Whoever pays for what an account used, and in which price class. */
export interface PayingAccount {
  userId: string;
  walletId: bigint;
  tier: string;
}

/** The accounts with these ids, whatever their status; those that are not there are left out. */
export async function payingAccounts(pool: Pool, ids: readonly string[]): Promise<PayingAccount[]> {
  const { rows } = await pool.query<{ id: string; wallet_id: bigint; tier: string }>({
    name: "paying_accounts",
    text: "SELECT id, wallet_id, tier FROM users WHERE id = ANY ($1::uuid[])",
    values: [ids],
  });
  return rows.map((row) => ({ userId: row.id, walletId: row.wallet_id, tier: row.tier }));
}
