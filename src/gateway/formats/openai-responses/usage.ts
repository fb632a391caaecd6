import type { Usage } from "../../pipeline/format.ts";
import { countOf, disjointClasses } from "../../tokens/classes.ts";
import { isObject } from "../checks.ts";

/** A response's usage as disjoint classes. Undefined when it cannot be read, see {@link disjointClasses}. */
export function readUsage(value: unknown): Usage | undefined {
  if (!isObject(value)) return undefined;
  return disjointClasses({
    input: countOf(value, "input_tokens"),
    output: countOf(value, "output_tokens"),
    total: countOf(value, "total_tokens"),
    cached: countOf(value["input_tokens_details"], "cached_tokens"),
    written: countOf(value["input_tokens_details"], "cache_write_tokens"),
    reasoning: countOf(value["output_tokens_details"], "reasoning_tokens"),
  });
}
