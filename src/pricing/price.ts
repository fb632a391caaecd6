/** Prices and what they make of tokens: pure, exact integer arithmetic in micro-credits. */

/** Tokens of one call in disjoint classes, whole numbers from 0. */
export interface TokenClasses {
  input: number;
  cachedInput: number;
  cacheWrite: number;
  output: number;
  reasoning: number;
}

/** What is priced per one; `requests` counts 1 unless said otherwise, the others 0. Parts of a second are rounded up by the caller. */
export interface Units {
  requests?: number;
  images?: number;
  seconds?: number;
  characters?: number;
}

/**
 * Sale prices in micro-credits: per 1000 tokens for token classes, per one for the rest. A class that is null costs what its
 * neighbour costs: cached input and cache write as input, reasoning as output.
 */
export interface Prices {
  inputPrice: bigint;
  outputPrice: bigint;
  cachedInputPrice: bigint | null;
  cacheWritePrice: bigint | null;
  reasoningPrice: bigint | null;
  requestPrice: bigint;
  imagePrice: bigint;
  secondPrice: bigint;
  characterPrice: bigint;
}

/** What a hold is made for. */
export interface Expected {
  inputTokens: number;
  /** The most the call may put out. */
  maxOutputTokens: number;
  /** How far the input count may be off: 110 holds 10 % more. */
  safetyPercent?: number;
  units?: Units;
}

const PER = 1_000n;
/** The input count of a foreign tokenizer is an estimate. */
const DEFAULT_SAFETY_PERCENT = 110;

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
      count(units?.characters ?? 0) * price.characterPrice) *
    PER
  );
}

/**
 * The cost of one call in micro-credits, rounded up once. 1500 input and 800 output tokens at 30 and 60 credits per 1000 are
 * exactly 93 credits. Throws a RangeError when a count is negative or not whole.
 */
export function cost(price: Prices, tokens: TokenClasses, units?: Units): bigint {
  const sum =
    count(tokens.input) * price.inputPrice +
    count(tokens.cachedInput) * (price.cachedInputPrice ?? price.inputPrice) +
    count(tokens.cacheWrite) * (price.cacheWritePrice ?? price.inputPrice) +
    count(tokens.output) * price.outputPrice +
    count(tokens.reasoning) * (price.reasoningPrice ?? price.outputPrice);
  return ceilDiv(sum + unitSum(price, units), PER);
}

const dearestInput = (price: Prices) => dearest(price.inputPrice, price.cachedInputPrice ?? 0n, price.cacheWritePrice ?? 0n);
const dearestOutput = (price: Prices) => dearest(price.outputPrice, price.reasoningPrice ?? 0n);

/** Everything but the output, in thousandths of a micro-credit. */
function fixedSum(price: Prices, expected: Omit<Expected, "maxOutputTokens">): bigint {
  const input = ceilDiv(count(expected.inputTokens) * count(expected.safetyPercent ?? DEFAULT_SAFETY_PERCENT), 100n);
  return input * dearestInput(price) + unitSum(price, expected.units);
}

/**
 * The most a call may cost, in micro-credits: its input with a margin, and all the output it may make, each at the dearest class it
 * may turn out to be. Never less than {@link cost} of any split of as many tokens.
 */
export function estimate(price: Prices, expected: Expected): bigint {
  return ceilDiv(fixedSum(price, expected) + count(expected.maxOutputTokens) * dearestOutput(price), PER);
}

/**
 * How many output tokens `amount` micro-credits cover beside the input: the largest cap whose {@link estimate} is not above it.
 * Infinity when output is free; -1 when not even the input is covered.
 */
export function affordableOutput(price: Prices, expected: Omit<Expected, "maxOutputTokens">, amount: bigint): number {
  const left = amount * PER - fixedSum(price, expected);
  if (left < 0n) return -1;
  const each = dearestOutput(price);
  return each === 0n ? Infinity : Number(left / each);
}
