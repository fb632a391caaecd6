import type { Usage } from "../../pipeline/format.ts";

/** 2^31: no vendor's count is larger, and more would not fit the record. */
const LIMIT = 2_147_483_648;

/** A count; undefined when absent or null; NaN when it is not a whole number we can believe. */
function count(holder: unknown, name: string): number | undefined {
  const value = (holder as Record<string, unknown> | undefined)?.[name];
  if (value === undefined || value === null) return undefined;
  return typeof value === "number" && Number.isInteger(value) && value < LIMIT && value > -LIMIT ? value : Number.NaN;
}

/**
 * OpenAI's usage object as disjoint classes whose sum is the vendor's total. Undefined when it cannot be read: numbers as text, fractions,
 * beyond 2^31, or no prompt and completion count at all. Audio has no class (it is refused at the door), so it stays in its side's total.
 */
export function readUsage(value: unknown): Usage | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const usage = value as Record<string, unknown>;
  const input = usage["prompt_tokens_details"];
  const output = usage["completion_tokens_details"];
  const prompt = count(usage, "prompt_tokens");
  const completion = count(usage, "completion_tokens");
  const total = count(usage, "total_tokens");
  const cached = count(input, "cached_tokens") ?? 0;
  const written = count(input, "cache_write_tokens") ?? 0;
  const reasoning = count(output, "reasoning_tokens") ?? 0;
  if (prompt === undefined || completion === undefined) return undefined;
  if ([prompt, completion, total ?? 0, cached, written, reasoning].some(Number.isNaN)) return undefined;

  const notes: string[] = [];
  if (total !== undefined && total !== prompt + completion) notes.push(`total_tokens ${total} is not ${prompt} + ${completion}`);
  const clamp = (name: string, tokens: number): number => {
    if (tokens >= 0) return tokens;
    notes.push(`${name} would be ${tokens}`);
    return 0;
  };
  const allInput = clamp("prompt", prompt);
  const allOutput = clamp("completion", completion);
  const parts = { cached: clamp("cached input", cached), written: clamp("cache write", written), reasoning: clamp("reasoning", reasoning) };
  clamp("input", allInput - parts.cached - parts.written);
  clamp("output", allOutput - parts.reasoning);
  // A part is never more than what it is a part of, so that the sum stays the vendor's total.
  const cachedInput = Math.min(parts.cached, allInput);
  const cacheWrite = Math.min(parts.written, allInput - cachedInput);
  const thought = Math.min(parts.reasoning, allOutput);
  const tokens = {
    input: allInput - cachedInput - cacheWrite,
    cachedInput,
    cacheWrite,
    output: allOutput - thought,
    reasoning: thought,
  };
  return { tokens, notes };
}
