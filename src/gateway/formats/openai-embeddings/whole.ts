import type { Usage, WholeResult } from "../../pipeline/format.ts";
import { countOf, disjointClasses } from "../../tokens/classes.ts";
import { isObject } from "../checks.ts";
import { malformed } from "../events.ts";
import { isLong, readEnds } from "../longAnswer.ts";
import { isUnreadable, readObject } from "../whole.ts";

/** Usage of a route that puts out no tokens: `{prompt_tokens, total_tokens}`. */
export function readInputUsage(said: unknown): Usage | undefined {
  if (!isObject(said)) return undefined;
  return disjointClasses({
    input: countOf(said, "prompt_tokens"),
    output: 0,
    total: countOf(said, "total_tokens"),
    cached: countOf(said["prompt_tokens_details"], "cached_tokens"),
    written: undefined,
    reasoning: undefined,
  });
}

const NOTHING = { content: true, tokens: 0 };

function result(said: unknown): WholeResult {
  const usage = readInputUsage(said);
  return { ok: true, usage, unreadableUsage: isUnreadable(said, usage), count: () => NOTHING };
}

const NO_LIST = malformed("The provider's answer is not a list of embeddings");

/** Reads a complete answer; it is passed on as it came, base64 or not. */
export function readEmbeddings(body: Buffer): WholeResult {
  if (isLong(body)) {
    const ends = readEnds(body);
    return ends ? result(ends.usage) : { ok: false, failure: NO_LIST };
  }
  const read = readObject(body, "a list of embeddings");
  if (!read.ok) return read;
  return Array.isArray(read.fields["data"]) ? result(read.fields["usage"]) : { ok: false, failure: NO_LIST };
}
