import { isObject, objectsIn, type Check, type Fields, type Problem, wordOf } from "../../checks.ts";
import { isLink, readDataUrl } from "../../conversion/dataUrl.ts";
import { EFFORTS, LEAST_THINKING } from "../../conversion/effort.ts";
import { onlyValue, unconvertible } from "../../conversion/fields.ts";

const NOT_HERE = "is not offered for this model";

const CONVERTED = new Set([
  "model",
  "messages",
  "stream",
  "stream_options",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "top_k",
  "stop",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning_effort",
  "response_format",
  "thinking",
  "user",
]);

/** They steer speed, storage, caching or bookkeeping at a vendor, or ask for no more than luck (`seed`). */
const HARMLESS = new Set([
  "store",
  "metadata",
  "seed",
  "prediction",
  "prompt_cache_key",
  "prompt_cache_retention",
  "safety_identifier",
  "service_tier",
  "modalities",
]);

const ONLY: Record<string, Check> = {
  n: onlyValue(1),
  logprobs: onlyValue(false),
  top_logprobs: onlyValue(0),
  presence_penalty: onlyValue(0),
  frequency_penalty: onlyValue(0),
  logit_bias: (value) => (isObject(value) && Object.keys(value).length === 0 ? undefined : NOT_HERE),
  verbosity: onlyValue("medium"),
};

/** What of a validated chat request Anthropic's format cannot say, or undefined. */
export function checkConvertible(body: Readonly<Fields>): Problem | undefined {
  return (
    unconvertible(body, { converted: CONVERTED, harmless: HARMLESS, only: ONLY }) ??
    checkSampling(body) ??
    checkReasoning(body) ??
    checkThinking(body) ??
    checkStop(body["stop"]) ??
    checkResponseFormat(body["response_format"]) ??
    checkTools(body) ??
    checkMessages(body["messages"] as Fields[])
  );
}

function checkSampling({ temperature }: Readonly<Fields>): Problem | undefined {
  return typeof temperature === "number" && temperature > 1
    ? { param: "temperature", message: "must be at most 1 for this model" }
    : undefined;
}

function checkReasoning(body: Readonly<Fields>): Problem | undefined {
  const effort = body["reasoning_effort"] ?? "none";
  if (!EFFORTS.includes(effort as string)) return { param: "reasoning_effort", message: `must be one of ${EFFORTS.join(", ")}` };
  const cap = (body["max_completion_tokens"] ?? body["max_tokens"] ?? Infinity) as number;
  return effort !== "none" && cap <= LEAST_THINKING
    ? { param: "reasoning_effort", message: `needs an output cap of more than ${LEAST_THINKING} tokens with this model` }
    : undefined;
}

/** A model that thinks chooses its words as it likes (https://docs.claude.com/en/docs/build-with-claude/extended-thinking). */
function checkThinking(body: Readonly<Fields>): Problem | undefined {
  const { thinking, reasoning_effort: effort } = body;
  const thinks = (typeof effort === "string" && effort !== "none") || (isObject(thinking) && thinking["type"] !== "disabled");
  if (!thinks) return undefined;
  const odd = (["temperature", "top_p", "top_k"] as const).find((name) => !FREE[name](body[name]));
  return odd && { param: odd, message: "cannot be chosen for this model while it reasons" };
}

const absent = (value: unknown): boolean => value === undefined || value === null;
const FREE = {
  temperature: (value: unknown) => absent(value) || value === 1,
  top_p: (value: unknown) => absent(value) || (typeof value === "number" && value >= 0.95),
  top_k: absent,
};

function checkStop(stop: unknown): Problem | undefined {
  const blank = [stop].flat().some((one) => typeof one === "string" && one.trim() === "");
  return blank ? { param: "stop", message: "must not be blank for this model" } : undefined;
}

function checkResponseFormat(format: unknown): Problem | undefined {
  if (!isObject(format) || format["type"] === "text") return undefined;
  if (format["type"] !== "json_schema") {
    return { param: "response_format.type", message: `${wordOf(format["type"])} is not offered for this model; json_schema is` };
  }
  const schema = isObject(format["json_schema"]) ? format["json_schema"]["schema"] : undefined;
  return isObject(schema) ? undefined : { param: "response_format.json_schema.schema", message: "must be an object" };
}

const functionOf = (tool: Fields): Fields | undefined =>
  (tool["type"] ?? "function") === "function" && isObject(tool["function"]) && typeof tool["function"]["name"] === "string"
    ? tool["function"]
    : undefined;

function checkTools(body: Readonly<Fields>): Problem | undefined {
  const at = ((body["tools"] ?? []) as Fields[]).findIndex((tool) => !functionOf(tool));
  if (at >= 0) return { param: `tools[${at}]`, message: "must be a function with a name" };
  const choice = body["tool_choice"] ?? "auto";
  if (typeof choice === "string") {
    return ["auto", "none", "required"].includes(choice) ? undefined : { param: "tool_choice", message: "must be auto, none or required" };
  }
  return functionOf(choice as Fields) ? undefined : { param: "tool_choice", message: "must name a function" };
}

function checkMessages(messages: Fields[]): Problem | undefined {
  for (const [i, message] of messages.entries()) {
    const at = `messages[${i}]`;
    if (message["role"] === "function" || isObject(message["function_call"])) {
      return { param: `${at}.role`, message: "functions are not offered for this model; tools are" };
    }
    const { content } = message as { content?: unknown };
    const isSystem = message["role"] === "system" || message["role"] === "developer";
    const seen = isSystem ? objectsIn(content).findIndex(({ type }) => type !== "text") : -1;
    if (seen >= 0) return { param: `${at}.content[${seen}].type`, message: "must be text in instructions for this model" };
    const problem = (Array.isArray(content) ? checkParts(content as Fields[], `${at}.content`) : undefined) ?? checkCalls(message, at);
    if (problem) return problem;
    if (message["role"] === "tool" && typeof message["tool_call_id"] !== "string") {
      return { param: `${at}.tool_call_id`, message: "must be text" };
    }
  }
  return undefined;
}

function checkParts(parts: Fields[], param: string): Problem | undefined {
  for (const [i, part] of parts.entries()) {
    const at = `${param}[${i}]`;
    switch (part["type"]) {
      case "text":
      case "refusal":
        break;
      case "image_url": {
        const { url } = part["image_url"] as { url: string };
        if (!isLink(url) && !readDataUrl(url)) return { param: `${at}.image_url.url`, message: "must be a link or a data URL in base64" };
        break;
      }
      case "file": {
        const data = isObject(part["file"]) ? part["file"]["file_data"] : undefined;
        const kind = typeof data === "string" ? readDataUrl(data)?.mediaType : undefined;
        if (kind !== "application/pdf") return { param: `${at}.file.file_data`, message: "must be a data URL of a PDF in base64" };
        break;
      }
      default:
        return { param: `${at}.type`, message: `${wordOf(part["type"])} ${NOT_HERE}` };
    }
  }
  return undefined;
}

function checkCalls(message: Fields, at: string): Problem | undefined {
  for (const [i, call] of ((message["tool_calls"] ?? []) as Fields[]).entries()) {
    const called = functionOf(call);
    const param = `${at}.tool_calls[${i}]`;
    if (!called) return { param, message: "must be a function with a name" };
    if (typeof call["id"] !== "string") return { param: `${param}.id`, message: "must be text" };
    if (!readArguments(called["arguments"])) {
      return { param: `${param}.function.arguments`, message: `must be a JSON object in text, at most ${MOST_DEPTH} deep` };
    }
  }
  return undefined;
}

/** Text of any depth can be parsed, but values much deeper than this cannot be written again. */
const MOST_DEPTH = 200;

const isDeeper = (value: unknown, depth: number): boolean =>
  typeof value === "object" && value !== null && (depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1)));

/** A call's arguments as the object they are; undefined when they are none, or one too deep to be written again. */
export function readArguments(text: unknown): Fields | undefined {
  if (text === undefined || text === null || text === "") return {};
  try {
    const value: unknown = typeof text === "string" ? JSON.parse(text) : undefined;
    return isObject(value) && !isDeeper(value, MOST_DEPTH) ? value : undefined;
  } catch {
    return undefined;
  }
}
