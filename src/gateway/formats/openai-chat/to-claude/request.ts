import { isObject, objectsIn, wordOf, type Fields } from "../../checks.ts";
import { budgetOf } from "../../conversion/effort.ts";
import { convertMessages } from "./messages.ts";

/** Models that decide by themselves how much to think and are told only how hard to try; the older ones are given a budget. */
const ADAPTIVE = /claude-(?:opus|sonnet|haiku|fable|mythos)-(?:4[.-][6-9]|[5-9])/i;

function toolOf(tool: Fields): Fields {
  const { name, description, parameters, strict } = tool["function"] as Fields;
  return {
    name,
    ...(typeof description === "string" && { description }),
    input_schema: isObject(parameters) ? parameters : { type: "object", properties: {} },
    ...(strict === true && { strict }),
    ...(isObject(tool["cache_control"]) && { cache_control: tool["cache_control"] }),
  };
}

function choiceOf(choice: unknown): Fields {
  if (isObject(choice)) return { type: "tool", name: (choice["function"] as Fields)["name"] };
  return { type: choice === "required" ? "any" : (choice ?? "auto") };
}

/** A conversation with tool calls has to name its tools, also where none may be called any more. */
function formerTools(body: Readonly<Fields>): Fields {
  const calls = objectsIn(body["messages"]).flatMap((message) => objectsIn(message["tool_calls"]));
  const names = [...new Set(calls.map((call) => (call["function"] as Fields)["name"]))];
  if (names.length === 0) return {};
  return { tools: names.map((name) => ({ name, input_schema: { type: "object", properties: {} } })), tool_choice: { type: "none" } };
}

function toolsOf(body: Readonly<Fields>): Fields {
  const tools = objectsIn(body["tools"]);
  if (tools.length === 0) return formerTools(body);
  const choice = choiceOf(body["tool_choice"]);
  if (body["parallel_tool_calls"] === false && choice["type"] !== "none") choice["disable_parallel_tool_use"] = true;
  return { tools: tools.map((tool) => toolOf(tool)), tool_choice: choice };
}

/** Whether the model may think here: never when a certain tool is forced, nor in the middle of tool calls whose thinking was not given back. */
function mayThink(body: Readonly<Fields>, messages: { role: string; content: Fields[] }[]): boolean {
  const choice = body["tool_choice"];
  if (isObject(choice) || choice === "required") return false;
  const lastTurn = messages.findLast(({ role }) => role === "assistant");
  const midCall = messages.at(-1)?.content.some((block) => block["type"] === "tool_result");
  return !midCall || wordOf(lastTurn?.content[0]?.["type"]).endsWith("thinking");
}

function thinkingOf(effort: unknown, cap: number, upstreamModel: string): Fields {
  if (typeof effort !== "string" || effort === "none") return {};
  if (ADAPTIVE.test(upstreamModel)) {
    return { thinking: { type: "adaptive" }, output_config: { effort: effort === "minimal" ? "low" : effort } };
  }
  const budget = budgetOf(effort, cap);
  return budget === undefined ? {} : { thinking: { type: "enabled", budget_tokens: budget } };
}

/** A validated, convertible chat request in Anthropic's format, for an answer of at most `cap` tokens. */
export function convertRequest(body: Readonly<Fields>, upstreamModel: string, cap: number, streams: boolean): Fields {
  const { system, messages } = convertMessages(body["messages"] as Fields[]);
  const { stop } = body;
  const format = body["response_format"];
  const schema = isObject(format) && format["type"] === "json_schema" ? (format["json_schema"] as Fields)["schema"] : undefined;
  const { output_config: effort, ...thinking } = mayThink(body, messages) ? thinkingOf(body["reasoning_effort"], cap, upstreamModel) : {};
  const output = { ...(effort as Fields | undefined), ...(schema !== undefined && { format: { type: "json_schema", schema } }) };
  return {
    model: upstreamModel,
    max_tokens: cap,
    ...(system.length > 0 && { system }),
    messages,
    ...(streams && { stream: true }),
    ...sampling(body),
    ...(stop !== undefined && stop !== null && { stop_sequences: Array.isArray(stop) ? stop : [stop] }),
    ...toolsOf(body),
    ...thinking,
    ...(isObject(body["thinking"]) && { thinking: within(body["thinking"], cap) }),
    ...(Object.keys(output).length > 0 && { output_config: output }),
    ...(typeof body["user"] === "string" && body["user"].length <= 256 && { metadata: { user_id: body["user"] } }),
  };
}

/** Thinking as the client asked for it in Anthropic's own words, inside the cap. */
const within = (thinking: Fields, cap: number): Fields =>
  typeof thinking["budget_tokens"] === "number" ? { ...thinking, budget_tokens: Math.min(thinking["budget_tokens"], cap - 1) } : thinking;

const SAMPLING = ["temperature", "top_p", "top_k"];

const sampling = (body: Readonly<Fields>): Fields =>
  Object.fromEntries(SAMPLING.filter((name) => typeof body[name] === "number").map((name) => [name, body[name]]));
