import { inTransaction, type Pool, type Queryable } from "../platform/postgres.ts";
import { keepSafetyFactors, type SafetyFactor } from "../pricing/index.ts";
import { COUNTS } from "./second.ts";

/** Fewer calls say nothing. */
const LEAST_CALLS = 20;
/** In short prompts what a vendor adds to every prompt outweighs the rest; the tolerance of settlement covers that. */
const LEAST_TOKENS = 32;
const MOST_CALLS = 200_000;

/** Of the calls of a day, what providers counted against what their holds took the prompts for: the factor that covers 95 of 100. */
async function observed(db: Queryable): Promise<SafetyFactor[]> {
  const { rows } = await db.query<SafetyFactor>(
    `SELECT model, count(*)::integer AS calls,
       least(300, greatest(100, ceil(100 * percentile_cont(0.95) WITHIN GROUP (ORDER BY actual / estimated_input_tokens))))::integer AS percent
     FROM (
       SELECT model, estimated_input_tokens, (input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens)::float8 AS actual
       FROM usage_events
       WHERE created_at >= now() - interval '1 day' AND status = 'ok' AND ${COUNTS} AND NOT estimated AND cache IS NULL AND estimated_input_tokens >= $1
       ORDER BY created_at DESC LIMIT $2
     ) AS calls
     GROUP BY model HAVING count(*) >= $3`,
    [LEAST_TOKENS, MOST_CALLS, LEAST_CALLS],
  );
  return rows;
}

/**
 * Corrects, once a day, how far prompts are taken to be off when their holds are made. Models with few calls keep what they have. Returns
 * how many were corrected; 0 when another worker or an earlier run has done it.
 */
export async function correctEstimates(pool: Pool): Promise<number> {
  return inTransaction(pool, async (tx) => {
    const { rowCount } = await tx.query(
      `INSERT INTO housekeeping_runs AS r (name, begun_at) VALUES ('estimates', now())
       ON CONFLICT (name) DO UPDATE SET begun_at = excluded.begun_at WHERE r.begun_at <= now() - interval '1 day'`,
    );
    if (rowCount === 0) return 0;
    const factors = await observed(tx);
    if (factors.length > 0) await keepSafetyFactors(tx, factors);
    return factors.length;
  });
}
