import type { Queryable } from "../platform/postgres.ts";
import type { TokenClasses } from "../pricing/index.ts";

/** The average of somebody's successful calls; parts of a token are rounded up. */
export interface AverageCall {
  calls: number;
  tokens: Required<TokenClasses>;
}

const DAYS = 30;

/** Of a user's calls of one model, or of all models when none is named, over the last 30 days; undefined when there were none. */
export async function averageCall(db: Queryable, userId: string, model: string | null): Promise<AverageCall | undefined> {
  const { rows } = await db.query<{ calls: string; tokens: number[] | null }>(
    `SELECT s.calls, ARRAY[ceil(s.input / s.calls), ceil(s.cached / s.calls), ceil(s.write / s.calls), ceil(s.long / s.calls),
       ceil(s.output / s.calls), ceil(s.reasoning / s.calls)]::float8[] AS tokens
     FROM (
       SELECT sum(requests - failed) AS calls, sum(input_tokens) AS input, sum(cached_input_tokens) AS cached, sum(cache_write_tokens) AS write,
         sum(cache_write_long_tokens) AS long, sum(output_tokens) AS output, sum(reasoning_tokens) AS reasoning
       FROM usage_hourly WHERE user_id = $1 AND ($2::text IS NULL OR model = $2) AND hour >= now() - make_interval(days => $3)
     ) AS s
     WHERE s.calls > 0`,
    [userId, model, DAYS],
  );
  const row = rows[0];
  if (!row?.tokens) return undefined;
  const [input, cachedInput, cacheWrite, cacheWriteLong, output, reasoning] = row.tokens as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { calls: Number(row.calls), tokens: { input, cachedInput, cacheWrite, cacheWriteLong, output, reasoning } };
}
