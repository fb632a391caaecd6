import { boolean, isObject, number, object, oneOf, text, whole, type Check, type Fields, type Problem } from "../checks.ts";
import { checkSearch, isSearch } from "./search.ts";

/** The smallest budget for thinking that the vendor takes. */
const LEAST_THINKING = 1_024;

const textList =
  (max: number): Check =>
  (value) =>
    Array.isArray(value) && value.length <= max && value.every((item) => typeof item === "string")
      ? undefined
      : `must be a list of at most ${max} texts`;

/** Scalar fields of a messages request with a known meaning. */
export const MESSAGES_FIELDS: Record<string, Check> = {
  max_tokens: whole(0, 10_000_000),
  stream: boolean,
  temperature: number(0, 1),
  top_p: number(0, 1),
  top_k: whole(0, 1_000_000),
  stop_sequences: textList(8_192),
  service_tier: oneOf("auto", "standard_only"),
  metadata: (value) =>
    isObject(value) && ["string", "undefined"].includes(typeof (value["user_id"] ?? undefined))
      ? undefined
      : "must be an object whose user_id is text",
  cache_control: object,
  output_config: object,
  output_format: object,
  context_management: object,
};

/** The first thing wrong with how the model may think, or undefined. `interleaved` thinking may use more than one answer's cap. */
export function checkThinking(body: Fields, interleaved: boolean): Problem | undefined {
  const thinking = body["thinking"];
  if (thinking === undefined || thinking === null) return undefined;
  if (!isObject(thinking)) return { param: "thinking", message: "must be an object" };
  if (typeof thinking["type"] !== "string") return { param: "thinking.type", message: "must be text" };
  if (thinking["type"] !== "enabled") return undefined;
  const problem = whole(LEAST_THINKING, 10_000_000)(thinking["budget_tokens"]);
  if (problem) return { param: "thinking.budget_tokens", message: problem };
  return !interleaved && (thinking["budget_tokens"] as number) >= (body["max_tokens"] as number)
    ? { param: "thinking.budget_tokens", message: "must be less than max_tokens" }
    : undefined;
}

const name = text(200);

/** The first thing wrong with what is said about choosing tools, or undefined. */
export function checkToolChoice(choice: unknown): Problem | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (!isObject(choice)) return { param: "tool_choice", message: "must be an object" };
  const type = oneOf("auto", "any", "tool", "none")(choice["type"]);
  if (type) return { param: "tool_choice.type", message: type };
  if (choice["type"] === "tool" && name(choice["name"])) return { param: "tool_choice.name", message: "must be text" };
  const parallel = choice["disable_parallel_tool_use"];
  return parallel === undefined || parallel === null || typeof parallel === "boolean"
    ? undefined
    : { param: "tool_choice.disable_parallel_tool_use", message: "must be true or false" };
}

/** Tools that the client runs and that cost nothing but their tokens; what runs at the vendor is another matter. */
const CLIENT_TOOL = /^(?:bash|text_editor|computer|browser|memory|tool_search_tool)_/;

/** The first thing wrong with the tools, or undefined. A kind that is not known may cost more than tokens. */
export function checkTools(tools: unknown): Problem | undefined {
  if (tools === undefined || tools === null) return undefined;
  if (!Array.isArray(tools) || tools.length > 1_024) return { param: "tools", message: "must be a list of at most 1024 objects" };
  for (const [i, tool] of (tools as unknown[]).entries()) {
    const at = `tools[${i}]`;
    if (!isObject(tool)) return { param: at, message: "must be an object" };
    const type = tool["type"] ?? "custom";
    if (typeof type !== "string") return { param: `${at}.type`, message: "must be text" };
    if (type !== "custom") {
      const problem = isSearch(type) ? checkSearch(tool, at) : undefined;
      if (problem) return problem;
      if (!isSearch(type) && !CLIENT_TOOL.test(type)) return { param: `${at}.type`, message: `${type} is not offered here` };
      continue;
    }
    if (name(tool["name"]) || tool["name"] === "") return { param: `${at}.name`, message: "must be text of 1 to 200 characters" };
    if (!isObject(tool["input_schema"])) return { param: `${at}.input_schema`, message: "must be an object" };
  }
  return undefined;
}
