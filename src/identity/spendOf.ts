import type { Principal } from "../http/principal.ts";
import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { accountLimits, spendLimits, type Limits, type SpendLimits, type Terms, type Tiers } from "../quotas/index.ts";
import { zoneOf, type ZoneRow } from "./zone.ts";

interface Row extends ZoneRow {
  own: Limits;
  tier: string;
  terms: Terms[] | null;
  key: Limits | null;
}

/**
 * What calls of somebody would be held against beside the wallet: limits and quotas of the account and, who asks with a key, of that. Null
 * when there are none.
 */
export async function spendOf(
  deps: { pool: Pool; tiers: Tiers },
  { userId, apiKeyId }: Pick<Principal, "userId" | "apiKeyId">,
): Promise<SpendLimits | null> {
  const { rows } = await deps.pool.query<Row>(
    `SELECT u.limits AS own, u.tier, u.time_zone, u.zone_before, quota_terms(u.id) AS terms, k.limits AS key
     FROM users u LEFT JOIN api_keys k ON k.id = $2 AND k.user_id = u.id WHERE u.id = $1`,
    [userId, apiKeyId ?? null],
  );
  const row = rows[0];
  if (!row) throw appError("not_found");
  const { tier, weights, book } = await deps.tiers.givenFor(row.tier);
  const terms = row.terms ?? book.standard;
  const key = row.key ?? {};
  const account = accountLimits({ terms, book, tier, own: row.own }, Date.now());
  return spendLimits(
    [
      { id: `key:${apiKeyId}`, limits: key },
      { id: `user:${userId}`, limits: account },
    ],
    zoneOf(row),
    { quotas: { userId, keyId: apiKeyId, terms, book, weights, limits: { tier, own: row.own, key } } },
  );
}
