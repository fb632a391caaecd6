import { apiRoot } from "./baseUrl.ts";
import { presentCosts } from "./cost.ts";
import type { ProviderModelRow, ProviderRow } from "./repository.ts";

/** What operators see: neither keys nor header values. */
export function presentProvider(row: ProviderRow) {
  return {
    id: row.id,
    name: row.name,
    base_url: row.base_url,
    api_root: apiRoot(row.base_url),
    api_format: row.api_format,
    status: row.status,
    priority: row.priority,
    weight: row.weight,
    timeouts: row.timeouts,
    header_names: row.header_names,
    key_count: row.api_keys.length,
    config: row.config,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** Cost prices as decimal text in their currency, per 1000 tokens or per one. */
export function presentProviderModel(row: ProviderModelRow) {
  return {
    id: row.id,
    provider_id: row.provider_id,
    model_name: row.model_name,
    upstream_model: row.upstream_model,
    display_name: row.display_name,
    ...presentCosts(row),
    price_currency: row.price_currency,
    price_per_tokens: 1_000 as const,
    status: row.status,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
