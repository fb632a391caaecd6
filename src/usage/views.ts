import { formatCredits } from "../platform/credits.ts";
import { formatMultiplier } from "../pricing/index.ts";
import type { UsageRow } from "./models.ts";

/** What answers show of a call. */

export const credits = (micro: string | null) => (micro === null ? null : formatCredits(BigInt(micro)));
export const sum = (...counts: string[]) => counts.reduce((total, next) => total + Number(next), 0);

/** An event as its user sees it: classes of tokens are kept apart inside and added up in `input_tokens` and `output_tokens`. */
export function userView(row: UsageRow) {
  return {
    id: row.id,
    request_id: row.request_id,
    key_id: row.key_id,
    token_id: row.token_id,
    model: row.model,
    provider: row.provider_name,
    route: row.route,
    stream: row.stream,
    input_tokens: sum(row.input_tokens, row.cached_input_tokens, row.cache_write_tokens, row.cache_write_long_tokens),
    cached_input_tokens: Number(row.cached_input_tokens),
    cache_write_tokens: sum(row.cache_write_tokens, row.cache_write_long_tokens),
    cache_write_1h_tokens: Number(row.cache_write_long_tokens),
    output_tokens: sum(row.output_tokens, row.reasoning_tokens),
    reasoning_tokens: Number(row.reasoning_tokens),
    units: row.units,
    price_multiplier: formatMultiplier(row.price_multiplier),
    cost: credits(row.cost),
    cache: row.cache,
    status: row.status,
    http_status: row.http_status,
    error_code: row.error_code,
    error_class: row.error_class,
    estimated: row.estimated,
    retry_count: row.retry_count,
    first_chunk_ms: row.first_chunk_ms,
    duration_ms: row.duration_ms,
    client_ip: row.client_ip,
    created_at: row.created_at,
    settled_at: row.settled_at,
  };
}

/** The same for operators. */
export function operatorView(row: UsageRow) {
  return {
    ...userView(row),
    user_id: row.user_id,
    team_id: row.team_id,
    provider_id: row.provider_id,
    price_version_id: row.price_version_id,
    upstream_request_id: row.upstream_request_id,
    uncharged: credits(row.uncharged),
    estimated_input_tokens: row.estimated_input_tokens,
    attempts: row.attempts?.length ?? 0,
    upstream_cost: credits(row.upstream_cost),
    upstream_currency: row.upstream_currency,
    set_aside_at: row.set_aside_at,
  };
}
