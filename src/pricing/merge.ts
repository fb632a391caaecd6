import { fieldError } from "../platform/errors.ts";
import type { Prices } from "./price.ts";
import type { ModelFields, PriceVersion } from "./repository.ts";
import type { ModelChange } from "./schema.ts";

/** A model of which nothing is said. */
export const NEW_FIELDS: ModelFields = {
  aliases: [],
  displayName: null,
  modality: "text",
  contextLength: null,
  maxOutputTokens: null,
  maxImageTokens: null,
  maxFileTokens: null,
  videoSecondTokens: null,
  status: "active",
};

/** What is known of a model after a change. */
export function mergeFields(present: ModelFields, change: ModelChange): ModelFields {
  return {
    aliases: change.aliases ?? present.aliases,
    displayName: change.display_name === undefined ? present.displayName : change.display_name,
    modality: change.modality ?? present.modality,
    contextLength: change.context_length === undefined ? present.contextLength : change.context_length,
    maxOutputTokens: change.max_output_tokens === undefined ? present.maxOutputTokens : change.max_output_tokens,
    maxImageTokens: change.max_image_tokens === undefined ? present.maxImageTokens : change.max_image_tokens,
    maxFileTokens: change.max_file_tokens === undefined ? present.maxFileTokens : change.max_file_tokens,
    videoSecondTokens: change.video_second_tokens === undefined ? present.videoSecondTokens : change.video_second_tokens,
    status: change.status ?? present.status,
  };
}

/**
 * The prices after a change, or undefined when the change says nothing about prices. The first prices of a model must name input
 * and output, so that nothing becomes free by leaving it out: 0 is written "0".
 */
export function mergePrices(present: PriceVersion | null, change: ModelChange): Prices | undefined {
  const given = Object.entries(change).some(([name, value]) => name.endsWith("_price") && value !== undefined);
  if (!given) return undefined;
  const inputPrice = change.input_price ?? present?.inputPrice;
  const outputPrice = change.output_price ?? present?.outputPrice;
  if (inputPrice === undefined) throw fieldError("input_price", 'is required with the first prices of a model; "0" makes it free');
  if (outputPrice === undefined) throw fieldError("output_price", 'is required with the first prices of a model; "0" makes it free');
  const optional = (value: bigint | null | undefined, before: bigint | null | undefined) =>
    value === undefined ? (before ?? null) : value;
  return {
    inputPrice,
    outputPrice,
    cachedInputPrice: optional(change.cached_input_price, present?.cachedInputPrice),
    cacheWritePrice: optional(change.cache_write_price, present?.cacheWritePrice),
    cacheWriteLongPrice: optional(change.cache_write_1h_price, present?.cacheWriteLongPrice),
    reasoningPrice: optional(change.reasoning_price, present?.reasoningPrice),
    requestPrice: change.request_price ?? present?.requestPrice ?? 0n,
    imagePrice: change.image_price ?? present?.imagePrice ?? 0n,
    secondPrice: change.second_price ?? present?.secondPrice ?? 0n,
    characterPrice: change.character_price ?? present?.characterPrice ?? 0n,
    searchPrice: change.web_search_price ?? present?.searchPrice ?? 0n,
  };
}

/** Whether a change leaves the prices in force as they are. */
export function samePrices(present: PriceVersion | null, next: Prices): boolean {
  return present !== null && (Object.keys(next) as (keyof Prices)[]).every((name) => present[name] === next[name]);
}
