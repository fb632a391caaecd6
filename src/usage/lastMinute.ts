import type { Pool } from "../platform/postgres.ts";
import { COUNTS, USED } from "./second.ts";

interface Row {
  status: "ok" | "client_gone" | "failed";
  error_class: string | null;
  calls: number;
  input: number;
  output: number;
}

/** Calls that began within the last minute and have ended: how, failures by class, tokens. */
export async function lastMinute(pool: Pool) {
  const { rows } = await pool.query<Row>(
    `SELECT status, error_class, count(*)::integer AS calls,
       sum((input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens) * ${USED})::float8 AS input,
       sum((output_tokens + reasoning_tokens) * ${USED})::float8 AS output
     FROM usage_events WHERE created_at > now() - interval '1 minute' AND ${COUNTS} GROUP BY status, error_class`,
  );
  const calls = { ok: 0, client_gone: 0, failed: 0 };
  const errors: Record<string, number> = {};
  const tokens = { input: 0, output: 0 };
  for (const row of rows) {
    calls[row.status] += row.calls;
    if (row.error_class !== null) errors[row.error_class] = (errors[row.error_class] ?? 0) + row.calls;
    tokens.input += row.input;
    tokens.output += row.output;
  }
  return { calls, errors, tokens };
}
