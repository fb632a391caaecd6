import { formatCredits } from "../platform/credits.ts";
import type { Prices } from "./price.ts";
import type { ModelRecord, PriceRecord } from "./repository.ts";

/** What answers show: snake_case, prices as decimal text in credits. */

const orNull = (micro: bigint | null) => (micro === null ? null : formatCredits(micro));

export function presentPrices(price: Prices) {
  return {
    input_price: formatCredits(price.inputPrice),
    output_price: formatCredits(price.outputPrice),
    cached_input_price: orNull(price.cachedInputPrice),
    cache_write_price: orNull(price.cacheWritePrice),
    cache_write_1h_price: orNull(price.cacheWriteLongPrice),
    reasoning_price: orNull(price.reasoningPrice),
    request_price: formatCredits(price.requestPrice),
    image_price: formatCredits(price.imagePrice),
    second_price: formatCredits(price.secondPrice),
    character_price: formatCredits(price.characterPrice),
    web_search_price: formatCredits(price.searchPrice),
  };
}

const NO_PRICES: Record<keyof ReturnType<typeof presentPrices>, null> = {
  input_price: null,
  output_price: null,
  cached_input_price: null,
  cache_write_price: null,
  cache_write_1h_price: null,
  reasoning_price: null,
  request_price: null,
  image_price: null,
  second_price: null,
  character_price: null,
  web_search_price: null,
};

function presentDescription(model: ModelRecord) {
  return {
    name: model.name,
    aliases: model.aliases,
    display_name: model.displayName,
    modality: model.modality,
    context_length: model.contextLength,
    max_output_tokens: model.maxOutputTokens,
  };
}

/** For everybody. */
export function presentPublicModel(model: ModelRecord) {
  return {
    ...presentDescription(model),
    ...(model.price ? presentPrices(model.price) : NO_PRICES),
    price_version: model.price?.version ?? null,
  };
}

/** For operators. */
export function presentModel(model: ModelRecord) {
  return {
    ...presentPublicModel(model),
    max_image_tokens: model.maxImageTokens,
    max_file_tokens: model.maxFileTokens,
    video_second_tokens: model.videoSecondTokens,
    status: model.status,
    safety_percent: model.safetyPercent,
    created_at: model.createdAt.toISOString(),
    updated_at: model.updatedAt.toISOString(),
  };
}

/** A version of prices for everybody: who made it is no business of theirs. */
export function presentPublicPrice(record: PriceRecord) {
  return {
    version: record.version,
    ...presentPrices(record),
    reason: record.reason,
    created_at: record.createdAt.toISOString(),
  };
}

/** For operators. */
export function presentPriceRecord(record: PriceRecord) {
  return { ...presentPublicPrice(record), author_id: record.authorId };
}
