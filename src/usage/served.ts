import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import { COUNTS } from "./second.ts";

interface Row {
  id: string;
  at: Date;
  user_id: string;
  request_id: string;
  ip: string | null;
  key_id: string | null;
  route: string;
  model: string;
  provider: string | null;
  status: string;
  http_status: number;
  error_code: string | null;
  error_class: string | null;
  stream: boolean;
  attempts: number;
  duration_ms: number;
  first_chunk_ms: number | null;
  input: string;
  output: string;
  estimated: boolean;
  cost: bigint | null;
  cache: string | null;
}

const WHERE = `user_id = $1 AND ($2::timestamptz IS NULL OR created_at >= $2) AND ($3::timestamptz IS NULL OR created_at < $3)
  AND (NOT $4 OR status = 'failed') AND ${COUNTS}`;

/**
 * A user's calls with a record as events (`call.ended`), newest first, for the list of his activity: at most `limit` of them, and their
 * number up to `counted`.
 */
export async function servedCalls(
  pool: Pool,
  filter: { userId: string; failed?: boolean | undefined; from?: Date | undefined; to?: Date | undefined },
  limit: number,
  counted: number,
) {
  const values = [filter.userId, filter.from ?? null, filter.to ?? null, filter.failed ?? false];
  const [{ rows }, count] = await Promise.all([
    pool.query<Row>(
      `SELECT id, created_at AS at, user_id, request_id, client_ip AS ip, key_id, route, model, provider_name AS provider, status, http_status,
         error_code, error_class, stream, coalesce(jsonb_array_length(attempts), 0) AS attempts, duration_ms, first_chunk_ms,
         (input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens)::text AS input,
         (output_tokens + reasoning_tokens)::text AS output, estimated, cost, cache
       FROM usage_events WHERE ${WHERE} ORDER BY created_at DESC, id DESC LIMIT $5`,
      [...values, limit],
    ),
    pool.query<{ count: number }>(`SELECT count(*)::integer AS count FROM (SELECT FROM usage_events WHERE ${WHERE} LIMIT $5) AS found`, [
      ...values,
      counted,
    ]),
  ]);
  const items = rows.map(({ id, at, user_id, request_id, ip, status, cost, cache, stream, input, output, ...rest }) => ({
    id,
    at,
    kind: "call.ended",
    user_id,
    request_id,
    ip,
    times: 1,
    facts: {
      ...rest,
      outcome: status,
      stream,
      input_tokens: Number(input),
      output_tokens: Number(output),
      cost: cost === null ? null : formatCredits(cost),
      cached: cache === "hit",
    },
  }));
  return { items, total: count.rows[0]?.count ?? 0 };
}
