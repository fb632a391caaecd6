import type { TokenClasses } from "../../pricing/index.ts";

/** 2^31: no vendor's count is larger, and more would not fit the record. */
const LIMIT = 2_147_483_648;

/** A count; undefined when absent or null; NaN when it is not a whole number we can believe. */
export function countOf(holder: unknown, name: string): number | undefined {
  const value = (holder as Record<string, unknown> | null | undefined)?.[name];
  if (value === undefined || value === null) return undefined;
  return typeof value === "number" && Number.isInteger(value) && value < LIMIT && value > -LIMIT ? value : Number.NaN;
}

/** Counts as an OpenAI-like vendor says them: parts are inside the two sides. Undefined is not said. */
export interface SaidCounts {
  input: number | undefined;
  output: number | undefined;
  total: number | undefined;
  cached: number | undefined;
  written: number | undefined;
  reasoning: number | undefined;
}

/**
 * Said counts as disjoint classes whose sum is the vendor's total. Undefined when they cannot be read: numbers as text, fractions, beyond
 * 2^31, or a side that is not said. Negative classes are clamped to 0; `notes` say so, and when the total is not the sum of its sides.
 */
export function disjointClasses(said: SaidCounts): { tokens: TokenClasses; notes: string[] } | undefined {
  const { input, output, total, cached = 0, written = 0, reasoning = 0 } = said;
  if (input === undefined || output === undefined) return undefined;
  if ([input, output, total ?? 0, cached, written, reasoning].some(Number.isNaN)) return undefined;

  const notes: string[] = [];
  if (total !== undefined && total !== input + output) notes.push(`total_tokens ${total} is not ${input} + ${output}`);
  const clamp = (name: string, tokens: number): number => {
    if (tokens >= 0) return tokens;
    notes.push(`${name} would be ${tokens}`);
    return 0;
  };
  const allInput = clamp("prompt", input);
  const allOutput = clamp("completion", output);
  const parts = { cached: clamp("cached input", cached), written: clamp("cache write", written), reasoning: clamp("reasoning", reasoning) };
  clamp("input", allInput - parts.cached - parts.written);
  clamp("output", allOutput - parts.reasoning);
  // A part is never more than what it is a part of, so that the sum stays the vendor's total.
  const cachedInput = Math.min(parts.cached, allInput);
  const cacheWrite = Math.min(parts.written, allInput - cachedInput);
  const thought = Math.min(parts.reasoning, allOutput);
  return {
    tokens: { input: allInput - cachedInput - cacheWrite, cachedInput, cacheWrite, output: allOutput - thought, reasoning: thought },
    notes,
  };
}
