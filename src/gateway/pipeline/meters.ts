import type { Prices } from "../../pricing/index.ts";
import type { Meter } from "./format.ts";

const pricesPrompt = (price: Prices): boolean =>
  price.inputPrice > 0n ||
  (price.cachedInputPrice ?? 0n) > 0n ||
  (price.cacheWritePrice ?? 0n) > 0n ||
  (price.cacheWriteLongPrice ?? 0n) > 0n;

const HAS: Record<Meter, (price: Prices) => boolean> = {
  prompt: pricesPrompt,
  tokens: (price) => pricesPrompt(price) || price.outputPrice > 0n || (price.reasoningPrice ?? 0n) > 0n,
  images: (price) => price.imagePrice > 0n,
  seconds: (price) => price.secondPrice > 0n,
  characters: (price) => price.characterPrice > 0n,
  requests: (price) => price.requestPrice > 0n,
  searches: (price) => price.searchPrice > 0n,
};

/** Whether this kind of unit costs something. */
export const isPriced = (meter: Meter, price: Prices): boolean => HAS[meter](price);

/** Whether tokens of any class cost something. */
export const pricesTokens = HAS.tokens;

const ALL = Object.keys(HAS) as Meter[];

/**
 * Whether a route that charges by these can charge this price. A price of nothing at all was set on purpose; one of other kinds of unit
 * would let the call pass for free.
 */
export function canCharge(meters: readonly Meter[], price: Prices): boolean {
  return meters.some((meter) => HAS[meter](price)) || !ALL.some((meter) => HAS[meter](price));
}
