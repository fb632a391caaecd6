import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { accountLimits, type Limits, type Terms, type Tiers } from "../quotas/index.ts";

/** What an account's tier, plan and own limits come to now. Throws `not_found` when there is no such account. */
export async function limitsOf(deps: { pool: Pool; tiers: Tiers }, userId: string): Promise<Limits> {
  const { rows } = await deps.pool.query<{ own: Limits; tier: string; terms: Terms[] | null }>(
    "SELECT limits AS own, tier, quota_terms(id) AS terms FROM users WHERE id = $1",
    [userId],
  );
  const row = rows[0];
  if (!row) throw appError("not_found");
  const { tier, book } = await deps.tiers.givenFor(row.tier);
  return accountLimits({ terms: row.terms ?? book.standard, book, tier, own: row.own }, Date.now());
}
