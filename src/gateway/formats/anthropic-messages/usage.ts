import type { TokenClasses } from "../../../pricing/index.ts";
import type { Usage } from "../../pipeline/format.ts";
import { countOf } from "../../tokens/classes.ts";
import { isObject, wordOf, type Fields } from "../checks.ts";

/** What a later event says of the usage over what an earlier one said; null says nothing. */
function mergeUsage(earlier: Fields, later: unknown): Fields {
  if (!isObject(later)) return earlier;
  const merged = { ...earlier };
  for (const name in later) if (later[name] !== null) merged[name] = later[name];
  return merged;
}

/** What the events of one stream say of its usage. */
export class StreamedUsage {
  /** Everything said so far, the last word of each count. */
  said: Fields = {};
  usage: Usage | undefined;
  unreadable = false;

  /** The message's usage as it begins: the input's counts. Its count of output is only a placeholder. */
  start(usage: unknown): void {
    const { output_tokens: _placeholder, ...input } = mergeUsage({}, usage);
    this.said = input;
  }

  /** A later usage, which is cumulative. */
  add(usage: unknown): void {
    this.said = mergeUsage(this.said, usage);
    if (usage !== undefined && usage !== null && !isObject(usage)) this.unreadable = true;
    if (this.said["output_tokens"] === undefined) return;
    this.usage = readUsage(this.said);
    this.unreadable = this.usage === undefined;
  }

  /** The prompt's classes without the answer's, for a client that left before the answer was counted. */
  get prompt(): TokenClasses | undefined {
    return readInput(this.said)?.tokens;
  }
}

interface Side {
  tokens: TokenClasses;
  notes: string[];
}

/** The classes of the prompt, which are disjoint as the vendor counts them; undefined when they cannot be read. */
function readInput(usage: Fields): Side | undefined {
  const input = countOf(usage, "input_tokens");
  const read = countOf(usage, "cache_read_input_tokens") ?? 0;
  const written = countOf(usage, "cache_creation_input_tokens") ?? 0;
  if (input === undefined || [input, read, written].some(Number.isNaN)) return undefined;
  const notes: string[] = [];
  const clamp = (name: string, tokens: number): number => {
    if (tokens >= 0) return tokens;
    notes.push(`${name} would be ${tokens}`);
    return 0;
  };
  const allWritten = clamp("cache write", written);
  const long = countOf(usage["cache_creation"], "ephemeral_1h_input_tokens") ?? 0;
  // A part is never more than what it is a part of.
  const cacheWriteLong = Number.isNaN(long) ? 0 : Math.min(clamp("cache write for an hour", long), allWritten);
  const tokens: TokenClasses = {
    input: clamp("input", input),
    cachedInput: clamp("cached input", read),
    cacheWrite: allWritten - cacheWriteLong,
    ...(cacheWriteLong > 0 && { cacheWriteLong }),
    output: 0,
    reasoning: 0,
  };
  return { tokens, notes };
}

/**
 * Anthropic's usage object as disjoint classes. Undefined when it cannot be read: numbers as text, fractions, beyond 2^31, or no count of
 * input or output at all. Thinking is inside the output, and the vendor's count of it only information.
 */
export function readUsage(usage: Fields): Usage | undefined {
  const side = readInput(usage);
  const output = countOf(usage, "output_tokens");
  if (!side || output === undefined || Number.isNaN(output)) return undefined;
  if (output < 0) side.notes.push(`output would be ${output}`);
  const searches = countOf(usage["server_tool_use"], "web_search_requests") ?? 0;
  return {
    tokens: { ...side.tokens, output: Math.max(0, output) },
    ...(searches > 0 && { units: { searches } }),
    notes: [...side.notes, ...unpricedTools(usage["server_tool_use"])],
  };
}

/** Tools that ran at the vendor and that no price covers. */
function unpricedTools(used: unknown): string[] {
  if (!isObject(used)) return [];
  return Object.entries(used)
    .filter(([name, times]) => name !== "web_search_requests" && typeof times === "number" && times > 0)
    .map(([name, times]) => `${name} ${wordOf(times)} has no price`);
}
