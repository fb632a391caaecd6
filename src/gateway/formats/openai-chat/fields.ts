/** What is wrong with one field of a request. */
export interface Problem {
  param: string;
  message: string;
}

type Check = (value: unknown) => string | undefined;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const whole =
  (min: number, max: number): Check =>
  (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? undefined
      : `must be a whole number from ${min} to ${max}`;
const number =
  (min: number, max: number): Check =>
  (value) =>
    typeof value === "number" && value >= min && value <= max ? undefined : `must be a number from ${min} to ${max}`;
const boolean: Check = (value) => (typeof value === "boolean" ? undefined : "must be true or false");
const text =
  (max: number): Check =>
  (value) =>
    typeof value === "string" && value.length <= max ? undefined : `must be text of at most ${max} characters`;
const object: Check = (value) => (isObject(value) ? undefined : "must be an object");
const list =
  (max: number): Check =>
  (value) =>
    Array.isArray(value) && value.length <= max && value.every(isObject) ? undefined : `must be a list of at most ${max} objects`;
const notOffered: Check = () => "is not offered here";

/** Fields with a known meaning. `null` is allowed for all of them, as OpenAI does; unknown fields pass. */
const CHECKS: Record<string, Check> = {
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
  functions: list(1_024),
  reasoning_effort: text(32),
  stop: (value) =>
    typeof value === "string" || (Array.isArray(value) && value.length <= 16 && value.every((item) => typeof item === "string"))
      ? undefined
      : "must be text or a list of at most 16 texts",
  tool_choice: (value) => (typeof value === "string" || isObject(value) ? undefined : "must be text or an object"),
  stream_options: (value) =>
    isObject(value) && [undefined, null, true, false].includes(value["include_usage"] as boolean)
      ? undefined
      : "must be an object; include_usage must be true or false",
  modalities: (value) => (Array.isArray(value) && value.every((item) => item === "text") ? undefined : "only text is offered here"),
  // Each of these costs money that no price here covers.
  audio: notOffered,
  web_search_options: notOffered,
  // Aggregators answer with another, dearer model than the one priced, or with paid extras, when asked by these.
  models: notOffered,
  route: notOffered,
  plugins: notOffered,
  provider: notOffered,
  service_tier: (value) => (value === "auto" || value === "default" || value === "flex" ? undefined : "must be auto, default or flex"),
};

/** The first thing wrong with the scalar fields, or undefined. */
export function checkFields(body: Record<string, unknown>): Problem | undefined {
  for (const name in body) {
    const check = CHECKS[name];
    const value = body[name];
    if (check === undefined || value === null || value === undefined || !Object.hasOwn(CHECKS, name)) continue;
    const message = check(value);
    if (message !== undefined) return { param: name, message };
  }
  return undefined;
}

const ROLES = new Set(["developer", "system", "user", "assistant", "tool", "function"]);

function checkParts(parts: unknown[], param: string): Problem | undefined {
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    const at = `${param}[${i}]`;
    if (!isObject(part)) return { param: at, message: "must be an object" };
    if (typeof part["type"] !== "string") return { param: `${at}.type`, message: "must be text" };
    if (part["type"] === "text" && typeof part["text"] !== "string") return { param: `${at}.text`, message: "must be text" };
    if (part["type"] === "input_audio") return { param: `${at}.type`, message: "audio is not offered here" };
    if (part["type"] === "image_url") {
      const image = part["image_url"];
      if (!isObject(image) || typeof image["url"] !== "string") return { param: `${at}.image_url.url`, message: "must be text" };
    }
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

/** The first thing wrong with the model's name, or undefined. */
export function checkModel(model: unknown): Problem | undefined {
  if (model === undefined) return { param: "model", message: "is required" };
  return typeof model === "string" && model.length > 0 && model.length <= 200
    ? undefined
    : { param: "model", message: "must be text of 1 to 200 characters" };
}
