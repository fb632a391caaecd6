import { isObject, objectsIn, type Check, type Fields, type Problem, wordOf } from "../../checks.ts";
import { unconvertible } from "../../conversion/fields.ts";

const NOT_HERE = "is not offered for this model";
/** OpenAI takes no more. */
const MOST_STOPS = 4;

const CONVERTED = new Set([
  "model",
  "messages",
  "system",
  "stream",
  "max_tokens",
  "temperature",
  "top_p",
  "stop_sequences",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "output_format",
  "metadata",
]);

/** They steer caching, capacity or place at the vendor, as the checks before have limited them. */
const HARMLESS = new Set(["cache_control", "service_tier", "speed", "inference_geo", "diagnostics"]);

const ONLY: Record<string, Check> = {
  // What is cleared there, thinking above all, is not sent here anyway or does no harm when it stays.
  context_management: (value) => {
    const edits = isObject(value) ? (value["edits"] ?? []) : undefined;
    const clears = Array.isArray(edits) && edits.every((edit: unknown) => isObject(edit) && wordOf(edit["type"]).startsWith("clear_"));
    return clears ? undefined : NOT_HERE;
  },
};

/** What of a validated messages request OpenAI's format cannot say, or undefined. */
export function checkConvertible(body: Readonly<Fields>): Problem | undefined {
  return (
    unconvertible(body, { converted: CONVERTED, harmless: HARMLESS, only: ONLY }) ??
    checkStops(body["stop_sequences"]) ??
    checkTools(objectsIn(body["tools"])) ??
    checkMessages(body["messages"] as Fields[])
  );
}

function checkStops(stops: unknown): Problem | undefined {
  return Array.isArray(stops) && stops.length > MOST_STOPS
    ? { param: "stop_sequences", message: `must be at most ${MOST_STOPS} for this model` }
    : undefined;
}

function checkTools(tools: Fields[]): Problem | undefined {
  for (const [i, tool] of tools.entries()) {
    const at = `tools[${i}]`;
    if ((tool["type"] ?? "custom") !== "custom") return { param: `${at}.type`, message: `${wordOf(tool["type"])} ${NOT_HERE}` };
    if (Array.isArray(tool["input_examples"]) && tool["input_examples"].length > 0)
      return { param: `${at}.input_examples`, message: NOT_HERE };
  }
  return undefined;
}

function checkMessages(messages: Fields[]): Problem | undefined {
  for (const [i, message] of messages.entries()) {
    const { content } = message as { content?: unknown };
    const problem = Array.isArray(content) ? checkBlocks(content as Fields[], `messages[${i}].content`) : undefined;
    if (problem) return problem;
  }
  return undefined;
}

const PASSING = new Set(["text", "image", "tool_use", "thinking", "redacted_thinking"]);

function checkBlocks(blocks: Fields[], param: string): Problem | undefined {
  for (const [i, block] of blocks.entries()) {
    const at = `${param}[${i}]`;
    const { type } = block;
    if (PASSING.has(type as string)) continue;
    if (type === "tool_result") {
      const { content } = block as { content?: unknown };
      const problem = Array.isArray(content) ? checkBlocks(content as Fields[], `${at}.content`) : undefined;
      if (problem) return problem;
    } else if (type === "document") {
      const problem = checkDocument(block["source"] as Fields, at);
      if (problem) return problem;
    } else return { param: `${at}.type`, message: `${wordOf(type)} ${NOT_HERE}` };
  }
  return undefined;
}

function checkDocument(source: Fields, at: string): Problem | undefined {
  if (source["type"] === "url") return { param: `${at}.source.type`, message: `a document behind a link ${NOT_HERE}` };
  const { content } = source as { content?: unknown };
  return source["type"] === "content" && Array.isArray(content) ? checkBlocks(content as Fields[], `${at}.source.content`) : undefined;
}
