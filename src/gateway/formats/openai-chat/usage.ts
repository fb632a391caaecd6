import type { Usage } from "../../pipeline/format.ts";
import { countOf, disjointClasses } from "../../tokens/classes.ts";

/**
 * OpenAI's usage object as disjoint classes. Undefined when it cannot be read, see {@link disjointClasses}. Audio has no class (it is
 * refused at the door), so it stays in its side's total.
 */
export function readUsage(value: unknown): Usage | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const usage = value as Record<string, unknown>;
  const input = usage["prompt_tokens_details"];
  const output = usage["completion_tokens_details"];
  return disjointClasses({
    input: countOf(usage, "prompt_tokens"),
    output: countOf(usage, "completion_tokens"),
    total: countOf(usage, "total_tokens"),
    cached: countOf(input, "cached_tokens"),
    written: countOf(input, "cache_write_tokens"),
    reasoning: countOf(output, "reasoning_tokens"),
  });
}
