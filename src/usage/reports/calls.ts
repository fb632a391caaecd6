import type { Queryable } from "../../platform/postgres.ts";
import { COUNTS } from "../second.ts";
import type { Range } from "../stats/range.ts";

/** What a report tells of single calls, from the calls themselves. */

export interface DearCall {
  id: string;
  request_id: string;
  model: string;
  key_id: string | null;
  input_tokens: bigint;
  output_tokens: bigint;
  cost: bigint;
  status: string;
  created_at: Date;
}

const SETTLED = `user_id = $1 AND created_at >= $2 AND created_at < $3 AND settled_at IS NOT NULL AND ${COUNTS}`;

/** The calls of a range that cost most, the dearest first. */
export async function dearestCalls(db: Queryable, userId: string, { from, to }: Range, limit: number): Promise<DearCall[]> {
  const { rows } = await db.query<DearCall>(
    `SELECT id, request_id, model, key_id, input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens AS input_tokens,
       output_tokens + reasoning_tokens AS output_tokens, cost, status, created_at
     FROM usage_events WHERE ${SETTLED} AND cost > 0 ORDER BY cost DESC, created_at, id LIMIT $4`,
    [userId, from, to, limit],
  );
  return rows;
}

/** Calls that ended alike. */
export interface Ending {
  status: "ok" | "failed" | "client_gone";
  error_code: string | null;
  calls: number;
  cost: bigint;
  retried: number;
  retries: number;
  duration_ms: number;
}

/** How the calls of a range ended. */
export async function endings(db: Queryable, userId: string, { from, to }: Range): Promise<Ending[]> {
  const { rows } = await db.query<Ending>(
    `SELECT status, error_code, count(*)::integer AS calls, sum(cost)::bigint AS cost, (count(*) FILTER (WHERE retry_count > 0))::integer AS retried,
       sum(retry_count)::float8 AS retries, sum(duration_ms)::float8 AS duration_ms
     FROM usage_events WHERE ${SETTLED} GROUP BY status, error_code ORDER BY calls DESC, status, error_code`,
    [userId, from, to],
  );
  return rows;
}
