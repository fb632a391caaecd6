import {
  boolean,
  isObject,
  list,
  NO_CHOICE_OF_OTHERS,
  notOffered,
  number,
  object,
  oneOf,
  serviceTier,
  text,
  textOrObject,
  whole,
  type Check,
  type Fields,
  type Problem,
} from "../checks.ts";
import { isSearch } from "./search.ts";

/** Fields of a request for a response with a known meaning (https://platform.openai.com/docs/api-reference/responses/create). */
export const RESPONSE_FIELDS: Record<string, Check> = {
  stream: boolean,
  stream_options: object,
  instructions: text(100_000_000),
  max_output_tokens: whole(1, 10_000_000),
  max_tool_calls: whole(1, 1_000_000),
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_logprobs: whole(0, 20),
  parallel_tool_calls: boolean,
  store: boolean,
  metadata: object,
  reasoning: object,
  text: object,
  tools: list(1_024),
  tool_choice: textOrObject,
  truncation: oneOf("auto", "disabled"),
  user: text(512),
  previous_response_id: text(256),
  conversation: (value) =>
    typeof value === "string" || (isObject(value) && typeof value["id"] === "string") ? undefined : "must be text or an object with an id",
  include: (value) => (Array.isArray(value) && value.every((item) => typeof item === "string") ? undefined : "must be a list of texts"),
  service_tier: serviceTier,
  // Work that goes on after we have left cannot be metered yet.
  background: (value) => (value === false ? undefined : "is not offered here"),
  // These reach what belongs to the provider's account, whoever of our customers asks, or cost extra.
  prompt: notOffered,
  access_programs: notOffered,
  moderation: notOffered,
  ...NO_CHOICE_OF_OTHERS,
};

/** Tools that the client runs itself. Of all others, which run at the provider and cost money, only web search can have a price. */
const OWN_TOOLS = new Set(["function", "custom", "local_shell", "apply_patch", "namespace"]);

/** The first tool that is not offered, or undefined. Searches are offered among the request's own tools alone, where they are counted. */
export function checkTools(tools: unknown, param: string): Problem | undefined {
  if (!Array.isArray(tools)) return undefined;
  for (const [i, tool] of (tools as unknown[]).entries()) {
    const at = `${param}[${i}]`;
    if (!isObject(tool)) return { param: at, message: "must be an object" };
    const { type } = tool;
    if (typeof type !== "string") return { param: `${at}.type`, message: "must be text" };
    if (!OWN_TOOLS.has(type) && !(isSearch(type) && param === "tools") && !(type === "tool_search" && tool["execution"] === "client")) {
      return { param: `${at}.type`, message: `${type.slice(0, 64)} has no price here` };
    }
    const inner = type === "namespace" ? checkTools(tool["tools"], `${at}.tools`) : undefined;
    if (inner) return inner;
  }
  return undefined;
}

function checkPart(part: unknown, at: string): Problem | undefined {
  if (!isObject(part)) return { param: at, message: "must be an object" };
  if (typeof part["type"] !== "string") return { param: `${at}.type`, message: "must be text" };
  if (part["type"].endsWith("_text") && typeof part["text"] !== "string") return { param: `${at}.text`, message: "must be text" };
  if (part["type"].includes("audio")) return { param: `${at}.type`, message: "audio is not offered here" };
  // What was uploaded at a provider lies in one account there, whoever of our customers it belongs to.
  if (typeof part["file_id"] === "string") return { param: `${at}.file_id`, message: "is not offered here; send the data or its address" };
  return undefined;
}

function checkParts(parts: unknown, at: string): Problem | undefined {
  if (!Array.isArray(parts)) return undefined;
  for (const [i, part] of (parts as unknown[]).entries()) {
    const problem = checkPart(part, `${at}[${i}]`);
    if (problem) return problem;
  }
  return undefined;
}

/** What an item is; one without a type is a message or names something kept. */
export const kindOf = (item: Fields): unknown => item["type"] ?? (item["role"] === undefined ? "item_reference" : "message");

function checkItem(item: unknown, at: string): Problem | undefined {
  if (!isObject(item)) return { param: at, message: "must be an object" };
  const { content, output } = item;
  const type = kindOf(item);
  if (typeof type !== "string") return { param: `${at}.type`, message: "must be text" };
  if (type === "message" && typeof item["role"] !== "string") return { param: `${at}.role`, message: "must be text" };
  if (type === "message" && typeof content !== "string" && !Array.isArray(content)) {
    return { param: `${at}.content`, message: "must be text or a list of parts" };
  }
  if (type === "item_reference" && (typeof item["id"] !== "string" || item["id"].length > 256)) {
    return { param: `${at}.id`, message: "must be text of at most 256 characters" };
  }
  const inner = isObject(output) ? checkPart(output, `${at}.output`) : checkParts(output, `${at}.output`);
  return checkParts(content, `${at}.content`) ?? inner ?? checkTools(item["tools"], `${at}.tools`);
}

/** The first thing wrong with the input, or undefined. */
export function checkInput(fields: Fields): Problem | undefined {
  const { input } = fields;
  if (input === undefined || input === null) {
    // What was said before may be enough to go on.
    return fields["previous_response_id"] || fields["conversation"] ? undefined : { param: "input", message: "is required" };
  }
  if (typeof input === "string") return undefined;
  if (!Array.isArray(input)) return { param: "input", message: "must be text or a list of items" };
  if (input.length === 0) return { param: "input", message: "must not be empty" };
  for (const [i, item] of (input as unknown[]).entries()) {
    const problem = checkItem(item, `input[${i}]`);
    if (problem) return problem;
  }
  return undefined;
}
