import { formatCredits } from "../../platform/credits.ts";
import type { Prices } from "../../pricing/index.ts";
import { COST_FIELDS, type Currency, type ProviderModelFields } from "./repository.ts";

/** What a provider's model costs us, in millionths of a currency. */
export interface UpstreamPrices {
  prices: Prices;
  currency: Currency;
}

export type CostFields = Pick<ProviderModelFields, (typeof COST_FIELDS)[number]>;

/** The cost prices of a model as calls need them; null while none is known. One that is known makes those left out 0, or as their neighbour. */
export function upstreamPrices(row: CostFields & Pick<ProviderModelFields, "price_currency">): UpstreamPrices | null {
  if (COST_FIELDS.every((name) => row[name] === null)) return null;
  return {
    currency: row.price_currency,
    prices: {
      inputPrice: row.input_price ?? 0n,
      outputPrice: row.output_price ?? 0n,
      cachedInputPrice: row.cached_input_price,
      cacheWritePrice: row.cache_write_price,
      cacheWriteLongPrice: row.cache_write_1h_price,
      reasoningPrice: row.reasoning_price,
      requestPrice: row.request_price ?? 0n,
      imagePrice: row.image_price ?? 0n,
      secondPrice: row.second_price ?? 0n,
      characterPrice: row.character_price ?? 0n,
      searchPrice: row.web_search_price ?? 0n,
    },
  };
}

/** The cost columns after a change: what it does not name stays, or is not known. */
export function mergeCosts(
  present: CostFields | undefined,
  change: Partial<Record<keyof CostFields, bigint | null | undefined>>,
): CostFields {
  const merged = COST_FIELDS.map((name) => [name, change[name] === undefined ? (present?.[name] ?? null) : change[name]]);
  return Object.fromEntries(merged) as unknown as CostFields;
}

/** The cost columns as decimal text of their currency. */
export function presentCosts(row: CostFields): Record<keyof CostFields, string | null> {
  const shown = COST_FIELDS.map((name) => [name, row[name] === null ? null : formatCredits(row[name])]);
  return Object.fromEntries(shown) as Record<keyof CostFields, string | null>;
}
