import type { Pool } from "../platform/postgres.ts";

/** Whoever pays for what an account used, and in which price class. */
export interface PayingAccount {
  userId: string;
  walletId: bigint;
  tier: string;
  /** Those it had before, each until when; oldest first. */
  pastTiers: readonly { tier: string; until: Date }[];
}

interface Row {
  id: string;
  wallet_id: bigint;
  tier: string;
  past: { tier: string; until: string }[] | null;
}

/** The accounts with these ids, whatever their status; those that are not there are left out. */
export async function payingAccounts(pool: Pool, ids: readonly string[]): Promise<PayingAccount[]> {
  const { rows } = await pool.query<Row>({
    name: "paying_accounts",
    text: `SELECT id, wallet_id, tier,
        (SELECT jsonb_agg(jsonb_build_object('tier', p.tier, 'until', p.until) ORDER BY p.until) FROM past_tiers p WHERE p.user_id = users.id) AS past
      FROM users WHERE id = ANY ($1::uuid[])`,
    values: [ids],
  });
  return rows.map(({ id, wallet_id, tier, past }) => ({
    userId: id,
    walletId: wallet_id,
    tier,
    pastTiers: (past ?? []).map((one) => ({ tier: one.tier, until: new Date(one.until) })),
  }));
}
