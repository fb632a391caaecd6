import { LRUCache } from "lru-cache";
import type { Pool, Queryable } from "../platform/postgres.ts";
import type { TokenClasses } from "../pricing/index.ts";

/** The average of successful calls; parts of a token are rounded up. */
export interface AverageCall {
  calls: number;
  tokens: Required<TokenClasses>;
}

/** Averages over the last 30 days; undefined when there were no calls. */
export interface Averages {
  /** Of somebody's calls of one model, or of all models when none is named. */
  ofUser(userId: string, model: string | null): Promise<AverageCall | undefined>;
  /** Of everybody's calls of a model, a few minutes old at most. Undefined also while fewer than three accounts use it: it would tell of them. */
  ofModel(model: string): Promise<AverageCall | undefined>;
}

const DAYS = 30;
const LEAST_ACCOUNTS = 3;
const MODELS_KEPT = 1_000;
const KEPT_MS = 300_000;

async function average(
  db: Queryable,
  who: { userId: string | null; model: string | null; leastAccounts: number },
): Promise<AverageCall | undefined> {
  const { rows } = await db.query<{ calls: string; tokens: number[] | null }>(
    `SELECT s.calls, ARRAY[ceil(s.input / s.calls), ceil(s.cached / s.calls), ceil(s.write / s.calls), ceil(s.long / s.calls),
       ceil(s.output / s.calls), ceil(s.reasoning / s.calls)]::float8[] AS tokens
     FROM (
       SELECT sum(requests - failed) AS calls, sum(input_tokens) AS input, sum(cached_input_tokens) AS cached, sum(cache_write_tokens) AS write,
         sum(cache_write_long_tokens) AS long, sum(output_tokens) AS output, sum(reasoning_tokens) AS reasoning,
         count(DISTINCT user_id) AS accounts
       FROM usage_hourly
       WHERE ${who.userId === null ? "$1::uuid IS NULL" : "user_id = $1"} AND ($2::text IS NULL OR model = $2)
         AND hour >= now() - make_interval(days => $3)
     ) AS s
     WHERE s.calls > 0 AND s.accounts >= $4`,
    [who.userId, who.model, DAYS, who.leastAccounts],
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

/** Reads averages from the roll-ups; those of everybody are kept for five minutes. */
export function createAverages(pool: Pool): Averages {
  const kept = new LRUCache<string, { found: AverageCall | undefined }>({ max: MODELS_KEPT, ttl: KEPT_MS });
  return {
    ofUser: (userId, model) => average(pool, { userId, model, leastAccounts: 1 }),
    async ofModel(model) {
      const known = kept.get(model);
      if (known) return known.found;
      const found = await average(pool, { userId: null, model, leastAccounts: LEAST_ACCOUNTS });
      kept.set(model, { found });
      return found;
    },
  };
}
