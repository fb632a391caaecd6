import {
  boolean,
  isObject,
  list,
  NO_CHOICE_OF_OTHERS,
  notOffered,
  number,
  object,
  objectsIn,
  serviceTier,
  streamOptions,
  text,
  textOrObject,
  texts,
  whole,
  type Check,
  type Problem,
} from "../checks.ts";

const unlessFalse: Check = (value) => (value === false ? undefined : "is not offered here");

/** Fields of a chat request with a known meaning. */
export const CHAT_FIELDS: Record<string, Check> = {
  stream: boolean,
  max_tokens: whole(1, 10_000_000),
  max_completion_tokens: whole(1, 10_000_000),
  n: whole(1, 128),
  temperature: number(0, 2),
  top_p: number(0, 1),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  seed: whole(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  logprobs: boolean,
  top_logprobs: whole(0, 20),
  logit_bias: object,
  user: text(512),
  parallel_tool_calls: boolean,
  store: boolean,
  metadata: object,
  response_format: object,
  tools: list(1_024),
  // Live search of other vendors.
  search_parameters: notOffered,
  enable_search: unlessFalse,
  web_search: unlessFalse,
  enable_enhancement: unlessFalse,
  // Answered later, to whoever asks with an id.
  deferred: unlessFalse,
  functions: list(1_024),
  reasoning_effort: text(32),
  stop: texts(16),
  tool_choice: textOrObject,
  stream_options: streamOptions,
  modalities: (value) => (Array.isArray(value) && value.every((item) => item === "text") ? undefined : "only text is offered here"),
  // Each of these costs money that no price here covers.
  audio: notOffered,
  web_search_options: notOffered,
  ...NO_CHOICE_OF_OTHERS,
  service_tier: serviceTier,
};

const ROLES = new Set(["developer", "system", "user", "assistant", "tool", "function"]);

function checkParts(parts: unknown[], param: string): Problem | undefined {
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    const at = `${param}[${i}]`;
    if (!isObject(part)) return { param: at, message: "must be an object" };
    if (typeof part["type"] !== "string") return { param: `${at}.type`, message: "must be text" };
    if (part["type"] === "text" && typeof part["text"] !== "string") return { param: `${at}.text`, message: "must be text" };
    if (part["type"].includes("audio")) return { param: `${at}.type`, message: "audio is not offered here" };
    if (part["type"] === "image_url") {
      const image = part["image_url"];
      if (!isObject(image) || typeof image["url"] !== "string") return { param: `${at}.image_url.url`, message: "must be text" };
    }
    // What was uploaded at a provider lies in one account there, whoever of our customers it belongs to.
    if (part["type"] === "file" && isObject(part["file"]) && typeof part["file"]["file_id"] === "string") {
      return { param: `${at}.file.file_id`, message: "is not offered here; send file_data" };
    }
  }
  return undefined;
}

const OWN_TOOLS = new Set<unknown>(["function", "custom"]);
/** What a tool may hold beside its scalars. */
const TOOL_PARTS = new Set(["function", "custom", "cache_control"]);

/** The first tool that is not the client's own, or undefined: those that run at a vendor cost money that no price here covers. */
export function checkTools(tools: unknown): Problem | undefined {
  for (const [i, tool] of objectsIn(tools).entries()) {
    const type = tool["type"] ?? "function";
    if (!OWN_TOOLS.has(type)) return { param: `tools[${i}].type`, message: "must be function or custom; others are not offered here" };
    if (!isObject(tool[type as string])) return { param: `tools[${i}].${type as string}`, message: "must be an object" };
    // Aggregators know tools of vendors by their names alone: {"googleSearch": {}}.
    const vendors = Object.keys(tool).find((name) => isObject(tool[name]) && !TOOL_PARTS.has(name));
    if (vendors !== undefined) return { param: `tools[${i}].${vendors.slice(0, 64)}`, message: "is not offered here" };
  }
  return undefined;
}

/** The first thing wrong with the conversation, or undefined. */
export function checkMessages(messages: unknown): Problem | undefined {
  if (messages === undefined) return { param: "messages", message: "is required" };
  if (!Array.isArray(messages)) return { param: "messages", message: "must be a list" };
  if (messages.length === 0) return { param: "messages", message: "must not be empty" };
  for (let i = 0; i < messages.length; i++) {
    const message: unknown = messages[i];
    const at = `messages[${i}]`;
    if (!isObject(message)) return { param: at, message: "must be an object" };
    if (typeof message["role"] !== "string" || !ROLES.has(message["role"]))
      return { param: `${at}.role`, message: `must be one of ${[...ROLES].join(", ")}` };
    const content = message["content"];
    if (Array.isArray(content)) {
      const problem = checkParts(content, `${at}.content`);
      if (problem) return problem;
    } else if (typeof content !== "string" && content !== null && content !== undefined) {
      return { param: `${at}.content`, message: "must be text or a list of parts" };
    } else if ((content === null || content === undefined) && message["role"] !== "assistant" && message["role"] !== "function") {
      return { param: `${at}.content`, message: "is required" };
    }
    const calls = message["tool_calls"];
    if (calls !== undefined && calls !== null && !(Array.isArray(calls) && calls.every(isObject))) {
      return { param: `${at}.tool_calls`, message: "must be a list of objects" };
    }
  }
  return undefined;
}
