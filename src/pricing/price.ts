import { formatDecimal } from "../platform/decimal.ts";

/** Prices and what they make of tokens: pure, exact integer arithmetic in micro-credits. */

/** Tokens of one call in disjoint classes, whole numbers from 0. */
export interface TokenClasses {
  input: number;
  cachedInput: number;
  cacheWrite: number;
  /** Written to a cache that keeps it for an hour; 0 when left out. Not part of `cacheWrite`. */
  cacheWriteLong?: number;
  output: number;
  reasoning: number;
}

/** What is priced per one; `requests` counts 1 unless said otherwise, the others 0. Parts of a second are rounded up by the caller. */
export interface Units {
  requests?: number;
  images?: number;
  seconds?: number;
  characters?: number;
  /** Web searches that the provider made for the answer. */
  searches?: number;
}

/**
 * Sale prices in micro-credits: per 1000 tokens for token classes, per one for the rest. A class that is null costs what its
 * neighbour costs: cached input and cache write as input, cache write for an hour as cache write, reasoning as output.
 */
export interface Prices {
  inputPrice: bigint;
  outputPrice: bigint;
  cachedInputPrice: bigint | null;
  cacheWritePrice: bigint | null;
  cacheWriteLongPrice: bigint | null;
  reasoningPrice: bigint | null;
  requestPrice: bigint;
  imagePrice: bigint;
  secondPrice: bigint;
  characterPrice: bigint;
  searchPrice: bigint;
}

/** What a hold is made for. */
export interface Expected {
  inputTokens: number;
  /** Input that is not counted but bounded: on top, without the margin of the count. */
  unseenTokens?: number | undefined;
  /** The most the call may put out. */
  maxOutputTokens: number;
  /** How far the input count may be off: 110 holds 10 % more. */
  safetyPercent?: number | undefined;
  units?: Units | undefined;
  /** See {@link cost}. */
  multiplier?: number;
}

const PER = 1_000n;
/** A multiplier of one: multipliers are whole numbers of millionths. */
export const ONE = 1_000_000;
const MILLION = BigInt(ONE);
/** The input count of a foreign tokenizer is an estimate. */
export const DEFAULT_SAFETY_PERCENT = 110;

const dearest = (...prices: bigint[]): bigint => prices.reduce((most, price) => (price > most ? price : most), 0n);
const ceilDiv = (value: bigint, by: bigint): bigint => (value + by - 1n) / by;

/** A count as bigint; throws a RangeError for negative or broken numbers, which must have been refused before. */
function count(value: number): bigint {
  if (value < 0) throw new RangeError(`a count cannot be negative: ${value}`);
  return BigInt(value);
}

/** Units in thousandths of a micro-credit, so that they add up with tokens before the one rounding. */
function unitSum(price: Prices, units: Units | undefined): bigint {
  return (
    (count(units?.requests ?? 1) * price.requestPrice +
      count(units?.images ?? 0) * price.imagePrice +
      count(units?.seconds ?? 0) * price.secondPrice +
      count(units?.characters ?? 0) * price.characterPrice +
      count(units?.searches ?? 0) * price.searchPrice) *
    PER
  );
}

/** A sum in thousandths of a micro-credit, multiplied and rounded up once. */
function rounded(sum: bigint, multiplier: number): bigint {
  return multiplier === ONE ? ceilDiv(sum, PER) : ceilDiv(sum * count(multiplier), PER * MILLION);
}

/**
 * The cost of one call in micro-credits, times `multiplier` millionths, rounded up once. 1500 input and 800 output tokens at 30 and 60
 * credits per 1000 are exactly 93 credits. Throws a RangeError when a count is negative or not whole.
 */
export function cost(price: Prices, tokens: TokenClasses, units?: Units, multiplier = ONE): bigint {
  const sum =
    count(tokens.input) * price.inputPrice +
    count(tokens.cachedInput) * (price.cachedInputPrice ?? price.inputPrice) +
    count(tokens.cacheWrite) * (price.cacheWritePrice ?? price.inputPrice) +
    count(tokens.cacheWriteLong ?? 0) * (price.cacheWriteLongPrice ?? price.cacheWritePrice ?? price.inputPrice) +
    count(tokens.output) * price.outputPrice +
    count(tokens.reasoning) * (price.reasoningPrice ?? price.outputPrice);
  return rounded(sum + unitSum(price, units), multiplier);
}

/** One line of a bill: so many of something at a price per 1000 or per one. */
export interface CostPart {
  what:
    | "input"
    | "cached_input"
    | "cache_write"
    | "cache_write_1h"
    | "output"
    | "reasoning"
    | "request"
    | "image"
    | "second"
    | "character"
    | "web_search";
  count: number;
  /** Micro-credits. */
  price: bigint;
  per: 1_000 | 1;
}

/** What {@link cost} adds up, line by line; lines of which there are none are left out. */
export function costParts(price: Prices, tokens: TokenClasses, units?: Units): CostPart[] {
  const cacheWrite = price.cacheWritePrice ?? price.inputPrice;
  const lines: CostPart[] = [
    { what: "input", count: tokens.input, price: price.inputPrice, per: 1_000 },
    { what: "cached_input", count: tokens.cachedInput, price: price.cachedInputPrice ?? price.inputPrice, per: 1_000 },
    { what: "cache_write", count: tokens.cacheWrite, price: cacheWrite, per: 1_000 },
    { what: "cache_write_1h", count: tokens.cacheWriteLong ?? 0, price: price.cacheWriteLongPrice ?? cacheWrite, per: 1_000 },
    { what: "output", count: tokens.output, price: price.outputPrice, per: 1_000 },
    { what: "reasoning", count: tokens.reasoning, price: price.reasoningPrice ?? price.outputPrice, per: 1_000 },
    { what: "request", count: units?.requests ?? 1, price: price.requestPrice, per: 1 },
    { what: "image", count: units?.images ?? 0, price: price.imagePrice, per: 1 },
    { what: "second", count: units?.seconds ?? 0, price: price.secondPrice, per: 1 },
    { what: "character", count: units?.characters ?? 0, price: price.characterPrice, per: 1 },
    { what: "web_search", count: units?.searches ?? 0, price: price.searchPrice, per: 1 },
  ];
  return lines.filter((line) => line.count > 0 && (line.what !== "request" || line.price > 0n));
}

/** What a line comes to before the one rounding, in thousandths of a micro-credit. */
export const partSum = ({ count: many, price, per }: CostPart): bigint => count(many) * price * (per === 1 ? PER : 1n);

const dearestInput = (price: Prices) =>
  dearest(price.inputPrice, price.cachedInputPrice ?? 0n, price.cacheWritePrice ?? 0n, price.cacheWriteLongPrice ?? 0n);
const dearestOutput = (price: Prices) => dearest(price.outputPrice, price.reasoningPrice ?? 0n);

/** Everything but the output, in thousandths of a micro-credit. */
function fixedSum(price: Prices, expected: Omit<Expected, "maxOutputTokens">): bigint {
  const input = ceilDiv(count(expected.inputTokens) * count(expected.safetyPercent ?? DEFAULT_SAFETY_PERCENT), 100n);
  return (input + count(expected.unseenTokens ?? 0)) * dearestInput(price) + unitSum(price, expected.units);
}

/**
 * The most a call may cost, in micro-credits: its input with a margin, and all the output it may make, each at the dearest class it
 * may turn out to be. Never less than {@link cost} of any split of as many tokens.
 */
export function estimate(price: Prices, expected: Expected): bigint {
  return rounded(fixedSum(price, expected) + count(expected.maxOutputTokens) * dearestOutput(price), expected.multiplier ?? ONE);
}

/**
 * How many output tokens `amount` micro-credits cover beside the input: the largest cap whose {@link estimate} is not above it.
 * Infinity when output is free; -1 when not even the input is covered.
 */
export function affordableOutput(price: Prices, expected: Omit<Expected, "maxOutputTokens">, amount: bigint): number {
  const multiplier = count(expected.multiplier ?? ONE);
  if (multiplier === 0n) return Infinity;
  const left = (amount * PER * MILLION) / multiplier - fixedSum(price, expected);
  if (left < 0n) return -1;
  const each = dearestOutput(price);
  return each === 0n ? Infinity : Number(left / each);
}

/** 1250000 → "1.25". */
export const formatMultiplier = (multiplier: number): string => formatDecimal(BigInt(multiplier), 6);
