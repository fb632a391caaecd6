import type { Usage } from "../../../pipeline/format.ts";
import { isObject, objectsIn, type Fields } from "../../checks.ts";
import { saidIn } from "../../conversion/parts.ts";
import { stopReasonOf } from "../../conversion/stop.ts";
import { messagesUsage } from "../../conversion/usage.ts";
import { readArguments } from "../../openai-chat/to-claude/check.ts";

const NOTHING_USED = { input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };

/** What a message begins with. The usage is what is known so far. */
export const messageHead = (answer: Fields, usage: Fields = NOTHING_USED): Fields => ({
  id: typeof answer["id"] === "string" ? answer["id"] : "msg_0",
  type: "message",
  role: "assistant",
  model: answer["model"],
  content: [],
  stop_reason: null,
  stop_sequence: null,
  usage,
});

/** What a message or delta of OpenAI's says of its reasoning; vendors have two names for it. */
export const reasoningOf = (message: Fields): unknown => message["reasoning_content"] ?? message["reasoning"];

const textBlock = (text: unknown): Fields[] => (typeof text === "string" && text !== "" ? [{ type: "text", text }] : []);

/** A tool's input. Cut off by the cap, or no object, it is still what the model said: under the name that Anthropic's manual gives to such. */
const inputOf = (text: unknown): Fields => readArguments(text) ?? { INVALID_JSON: typeof text === "string" ? text : JSON.stringify(text) };

/** A complete chat completion as a message. */
export function messageOf(answer: Fields, choice: Fields, usage: Pick<Usage, "tokens"> | undefined): Fields {
  const message = isObject(choice["message"]) ? choice["message"] : {};
  const said = saidIn(message["content"]);
  const reasoning = reasoningOf(message) ?? said.thinking;
  const calls = objectsIn(message["tool_calls"]).map((call) => {
    const called = isObject(call["function"]) ? call["function"] : {};
    return { type: "tool_use", id: call["id"], name: called["name"], input: inputOf(called["arguments"]) };
  });
  const refused = typeof message["refusal"] === "string" && message["refusal"] !== "";
  return {
    ...messageHead(answer, usage && messagesUsage(usage)),
    content: [
      ...(typeof reasoning === "string" && reasoning !== "" ? [{ type: "thinking", thinking: reasoning, signature: "" }] : []),
      ...textBlock(said.text),
      ...textBlock(message["refusal"]),
      ...calls,
    ],
    stop_reason: refused ? "refusal" : stopReasonOf(choice["finish_reason"], calls.length > 0),
  };
}
