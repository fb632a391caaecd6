import type { Usage, WholeResult } from "../../pipeline/format.ts";
import { countOf, disjointClasses } from "../../tokens/classes.ts";
import { isObject } from "../checks.ts";
import { malformed } from "../events.ts";
import { isUnreadable, readObject } from "../whole.ts";

/** Beyond this an answer is not parsed whole: it is one long list of numbers, and parsing that would keep every other call waiting. */
const PARSED_WHOLE = 1024 * 1024;
/** How much of either end of a long answer is searched. */
const END = 16 * 1024;

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

/** Reads a complete answer; it is passed on as it came, base64 or not. */
export function readEmbeddings(body: Buffer): WholeResult {
  if (body.length > PARSED_WHOLE) return readLong(body);
  const read = readObject(body, "a list of embeddings");
  if (!read.ok) return read;
  if (!Array.isArray(read.fields["data"])) return { ok: false, failure: malformed("The provider's answer is not a list of embeddings") };
  return result(read.fields["usage"]);
}

/** A long answer: its shape at both ends, and the usage that stands before or behind the list. */
function readLong(body: Buffer): WholeResult {
  const head = body.subarray(0, END).toString("latin1");
  const tail = body
    .subarray(body.length - END)
    .toString("latin1")
    .trimEnd();
  if (!head.trimStart().startsWith("{") || !tail.endsWith("}") || !/"data"\s*:\s*\[/.test(head)) {
    return { ok: false, failure: malformed("The provider's answer is not a list of embeddings") };
  }
  const said = /"usage"\s*:\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})/;
  const found = said.exec(tail) ?? said.exec(head);
  if (!found) return result(undefined);
  try {
    return result(JSON.parse(found[1]!));
  } catch {
    return { ok: false, failure: malformed("The provider's answer is not JSON") };
  }
}
