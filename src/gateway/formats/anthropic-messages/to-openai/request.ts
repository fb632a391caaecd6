import { isObject, objectsIn, type Fields } from "../../checks.ts";
import { effortOf } from "../../conversion/effort.ts";
import { capName } from "../../openai-chat/native.ts";
import { convertMessages } from "./messages.ts";

function toolOf({ name, description, input_schema: parameters, strict }: Fields): Fields {
  return {
    type: "function",
    function: { name, ...(typeof description === "string" && { description }), parameters, ...(strict === true && { strict }) },
  };
}

function choiceOf(choice: Fields): unknown {
  switch (choice["type"]) {
    case "any":
      return "required";
    case "tool":
      return { type: "function", function: { name: choice["name"] } };
    default:
      return choice["type"];
  }
}

function toolsOf(body: Readonly<Fields>): Fields {
  const tools = objectsIn(body["tools"]);
  if (tools.length === 0) return {};
  const choice = body["tool_choice"];
  return {
    tools: tools.map((tool) => toolOf(tool)),
    ...(isObject(choice) && { tool_choice: choiceOf(choice) }),
    ...(isObject(choice) && choice["disable_parallel_tool_use"] === true && { parallel_tool_calls: false }),
  };
}

/** How hard to think: as said in so many words, else as the budget is of the cap. Where nothing is said the model decides. */
function effort(body: Readonly<Fields>): string | undefined {
  const { thinking, output_config: output } = body;
  const said = isObject(output) ? output["effort"] : undefined;
  if (typeof said === "string") return said === "max" ? "xhigh" : said;
  if (!isObject(thinking) || thinking["type"] !== "enabled") return undefined;
  return effortOf(thinking["budget_tokens"] as number, body["max_tokens"] as number);
}

function formatOf({ output_config: output, output_format: older }: Readonly<Fields>): Fields {
  const format = (isObject(output) ? output["format"] : undefined) ?? older;
  if (!isObject(format) || format["type"] !== "json_schema") return {};
  return { response_format: { type: "json_schema", json_schema: { name: "answer", schema: format["schema"], strict: true } } };
}

/** A validated, convertible messages request in OpenAI's format, for an answer of at most `cap` tokens. */
export function convertRequest(body: Readonly<Fields>, upstreamModel: string, cap: number, streams: boolean): Fields {
  const { metadata, stop_sequences: stop } = body;
  const user = isObject(metadata) ? metadata["user_id"] : undefined;
  const reasoning = effort(body);
  return {
    model: upstreamModel,
    [capName({}, upstreamModel)]: cap,
    messages: convertMessages(body["system"], body["messages"] as Fields[]),
    ...(streams && { stream: true, stream_options: { include_usage: true } }),
    ...(typeof body["temperature"] === "number" && { temperature: body["temperature"] }),
    ...(typeof body["top_p"] === "number" && { top_p: body["top_p"] }),
    ...(Array.isArray(stop) && stop.length > 0 && { stop }),
    ...toolsOf(body),
    ...(reasoning !== undefined && { reasoning_effort: reasoning }),
    ...formatOf(body),
    ...(typeof user === "string" && { user }),
  };
}
