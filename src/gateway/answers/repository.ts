import type { Pool } from "../../platform/postgres.ts";

/** Who made an answer, or would use one: a key uses all those of its account, an end-user token only its own. */
export interface KeptOwner {
  userId: string;
  /** The end-user token; null for a key. */
  tokenId: string | null;
}

/** One answer a provider keeps, or a piece of one. */
export interface KeptRow extends KeptOwner {
  id: string;
  responseId: string;
  providerId: string;
  model: string;
  contextTokens: number;
}

/** Notes whose these are. Writing one again moves it to where it lies now. */
export async function insertKept(pool: Pool, rows: KeptRow[], keptMs: number): Promise<void> {
  // One statement may not write one row twice.
  const distinct = [...new Map(rows.map((row) => [`${row.userId} ${row.id}`, row])).values()];
  await pool.query(
    `INSERT INTO relay_responses (user_id, id, response_id, provider_id, model, context_tokens, token_id, expires_at)
     SELECT *, clock_timestamp() + $8 * interval '1 millisecond'
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::uuid[])
     ON CONFLICT (user_id, id) DO UPDATE SET response_id = EXCLUDED.response_id, provider_id = EXCLUDED.provider_id,
       model = EXCLUDED.model, context_tokens = EXCLUDED.context_tokens, token_id = EXCLUDED.token_id, created_at = clock_timestamp(), expires_at = EXCLUDED.expires_at`,
    [
      distinct.map((row) => row.userId),
      distinct.map((row) => row.id),
      distinct.map((row) => row.responseId),
      distinct.map((row) => row.providerId),
      distinct.map((row) => row.model),
      distinct.map((row) => row.contextTokens),
      distinct.map((row) => row.tokenId),
      keptMs,
    ],
  );
}

/** Those of these ids that the owner may use. */
export async function findKept(pool: Pool, { userId, tokenId }: KeptOwner, ids: readonly string[]): Promise<KeptRow[]> {
  const { rows } = await pool.query<KeptRow>(
    `SELECT user_id AS "userId", token_id AS "tokenId", id, response_id AS "responseId", provider_id AS "providerId", model, context_tokens::float8 AS "contextTokens"
     FROM relay_responses WHERE user_id = $1 AND id = ANY($2) AND ($3::uuid IS NULL OR token_id = $3) AND expires_at > clock_timestamp()`,
    [userId, ids, tokenId],
  );
  return rows;
}

/** Forgets an answer and its pieces. */
export async function deleteKept(pool: Pool, userId: string, responseId: string): Promise<void> {
  await pool.query("DELETE FROM relay_responses WHERE user_id = $1 AND response_id = $2", [userId, responseId]);
}

/** Forgets what providers have forgotten too; at most `limit` rows. Returns how many. */
export async function deleteExpired(pool: Pool, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `DELETE FROM relay_responses WHERE (user_id, id) IN
       (SELECT user_id, id FROM relay_responses WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1)`,
    [limit],
  );
  return rowCount ?? 0;
}
