import type { SecretBox } from "../../platform/secrets.ts";
import type { ProviderHealth } from "../routing/index.ts";
import { apiRoot } from "./baseUrl.ts";
import { presentCosts } from "./cost.ts";
import { hintOf, readKeys } from "./key.ts";
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

const timeIn = (ms: number | null): string | null => (ms === null ? null : new Date(Date.now() + ms).toISOString());

/** Keys as operators tell them apart, and whether they are in use. */
function presentKeys(row: ProviderRow, secretBox: Pick<SecretBox, "open">, { restingKeys }: ProviderHealth) {
  return readKeys(row, secretBox).map((key, index) => {
    if (!key)
      return { index, fingerprint: null, hint: null, status: "unreadable" as const, reason: null, ready_at: null, limited_models: [] };
    const rests = restingKeys.filter(({ fingerprint }) => fingerprint === key.fingerprint);
    const whole = rests.find(({ model }) => model === null);
    return {
      index,
      fingerprint: key.fingerprint,
      hint: hintOf(key.value),
      status: whole ? ("resting" as const) : ("ready" as const),
      reason: whole?.reason ?? null,
      ready_at: timeIn(whole?.forMs ?? null),
      limited_models: rests.flatMap(({ model, forMs }) => (model === null ? [] : [{ model, ready_at: timeIn(forMs)! }])),
    };
  });
}

/** The circuits of a provider. */
function presentHealth(health: ProviderHealth) {
  return {
    state: health.state,
    retry_at: timeIn(health.retryInMs),
    circuits: health.circuits.map(({ model, retryInMs, ...circuit }) => ({
      upstream_model: model,
      ...circuit,
      retry_at: timeIn(retryInMs),
    })),
  };
}

/** A provider with its keys and health. */
export const presentWhole = (row: ProviderRow, secretBox: Pick<SecretBox, "open">, health: ProviderHealth) => ({
  ...presentProvider(row),
  keys: presentKeys(row, secretBox, health),
  health: presentHealth(health),
});

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
