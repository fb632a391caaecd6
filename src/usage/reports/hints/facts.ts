import type { Queryable } from "../../../platform/postgres.ts";
import type { TokenClasses } from "../../../pricing/index.ts";
import { COUNTS } from "../../second.ts";
import type { Range } from "../../stats/range.ts";

/** What hints are made from: sums over the calls of somebody within a range. */

/** Successful calls of one model under one multiplier. Answers are `short` up to {@link SHORT_ANSWER} tokens. */
export interface Mix {
  model: string;
  /** Millionths. */
  multiplier: number;
  short: boolean;
  /** Where they were called, as it is on record. */
  routes: string[];
  calls: number;
  tokens: Required<TokenClasses>;
  /** The longest prompt and the longest answer. */
  longestInput: number;
  longestOutput: number;
  /** Micro-credits. */
  cost: bigint;
}

/** How much of the input was sent before, of one model under one multiplier. */
export interface Repeated {
  model: string;
  multiplier: number;
  calls: number;
  input: number;
  cached: number;
  /** Input that a call shares with the one before it, and of that what was not read from the provider's cache. */
  repeated: number;
  missed: number;
}

/** Calls that were paid and brought no whole answer. */
export interface Broken {
  calls: number;
  cost: bigint;
}

export interface RecentCall {
  id: string;
  model: string;
  cost: bigint;
  output: number;
}

/** Answers up to so many tokens are short. */
export const SHORT_ANSWER = 200;
/** Providers keep a prompt for so long after its last use, and none that is shorter than this. */
const CACHE_LIFE_MINUTES = 5;
const LEAST_CACHED = 1_024;

const SETTLED = `user_id = $1 AND created_at >= $2 AND created_at < $3 AND settled_at IS NOT NULL AND ${COUNTS}`;
const TOTAL = "input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens";
const OUT = "output_tokens + reasoning_tokens";

interface MixRow {
  model: string;
  multiplier: number;
  short: boolean;
  routes: string[];
  calls: number;
  tokens: number[];
  longest_input: number;
  longest_output: number;
  cost: bigint;
}

/** Calls by model, without those our own cache answered and those charged by other units than tokens. */
export async function readMixes(db: Queryable, userId: string, { from, to }: Range): Promise<Mix[]> {
  const { rows } = await db.query<MixRow>(
    `SELECT model, price_multiplier AS multiplier, ${OUT} <= $4 AS short, array_agg(DISTINCT route) AS routes, count(*)::integer AS calls,
       ARRAY[sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens), sum(cache_write_long_tokens), sum(output_tokens),
         sum(reasoning_tokens)]::float8[] AS tokens,
       max(${TOTAL})::float8 AS longest_input, max(${OUT})::float8 AS longest_output, sum(cost)::bigint AS cost
     FROM usage_events WHERE ${SETTLED} AND status = 'ok' AND cache IS NULL AND (units IS NULL OR units = '{}')
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    [userId, from, to, SHORT_ANSWER],
  );
  return rows.map(({ tokens, longest_input, longest_output, ...row }) => {
    const [input, cachedInput, cacheWrite, cacheWriteLong, output, reasoning] = tokens as [number, number, number, number, number, number];
    return {
      ...row,
      longestInput: longest_input,
      longestOutput: longest_output,
      tokens: { input, cachedInput, cacheWrite, cacheWriteLong, output, reasoning },
    };
  });
}

/**
 * A call whose prompt is at least as long as the prompt and the answer of the one before it (same key, token and model, within the life of
 * a cache) is taken to send that prompt again, as a conversation does. Conversations that take turns on one key hide each other, so this
 * is the least there is.
 */
export async function readRepeated(db: Queryable, userId: string, { from, to }: Range): Promise<Repeated[]> {
  const { rows } = await db.query<Repeated>(
    `SELECT model, multiplier, count(*)::integer AS calls, sum(total)::float8 AS input, sum(cached)::float8 AS cached,
       sum(again)::float8 AS repeated, sum(greatest(again - cached, 0))::float8 AS missed
     FROM (
       SELECT model, multiplier, total, cached,
         CASE WHEN before_at > created_at - make_interval(mins => $4) AND before_total >= $5 AND total >= before_total + before_out
           THEN before_total ELSE 0 END AS again
       FROM (
         SELECT model, price_multiplier AS multiplier, created_at, ${TOTAL} AS total, cached_input_tokens AS cached,
           lag(created_at) OVER w AS before_at, lag(${TOTAL}) OVER w AS before_total, lag(${OUT}) OVER w AS before_out
         FROM usage_events WHERE ${SETTLED} AND status = 'ok' AND cache IS NULL
         WINDOW w AS (PARTITION BY key_id, token_id, model ORDER BY created_at, id)
       ) AS calls
     ) AS counted
     GROUP BY 1, 2 ORDER BY 1, 2`,
    [userId, from, to, CACHE_LIFE_MINUTES, LEAST_CACHED],
  );
  return rows;
}

/** Calls that failed or were left by their client, and yet cost something. */
export async function readBroken(db: Queryable, userId: string, { from, to }: Range): Promise<Broken> {
  const { rows } = await db.query<Broken>(
    `SELECT count(*)::integer AS calls, coalesce(sum(cost), 0)::bigint AS cost FROM usage_events
     WHERE ${SETTLED} AND status IN ('failed', 'client_gone') AND cost > 0`,
    [userId, from, to],
  );
  return rows[0]!;
}

/** The last calls since a moment, whose holds may still be known. */
export async function readRecent(db: Queryable, userId: string, since: Date, limit: number): Promise<RecentCall[]> {
  const { rows } = await db.query<RecentCall>(
    `SELECT id, model, cost, (${OUT})::float8 AS output FROM usage_events
     WHERE user_id = $1 AND created_at >= $2 AND settled_at IS NOT NULL AND ${COUNTS} AND status = 'ok' AND cache IS NULL
     ORDER BY created_at DESC LIMIT $3`,
    [userId, since, limit],
  );
  return rows;
}
