import type { Usage } from "../../../pipeline/format.ts";
import { isObject, objectsIn, type Fields } from "../../checks.ts";
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

/** A complete chat completion as a message; undefined when the arguments of a tool are no JSON object. */
export function messageOf(answer: Fields, choice: Fields, usage: Usage | undefined): Fields | undefined {
  const message = isObject(choice["message"]) ? choice["message"] : {};
  const reasoning = reasoningOf(message);
  const calls = objectsIn(message["tool_calls"]).map((call) => {
    const called = isObject(call["function"]) ? call["function"] : {};
    return { type: "tool_use", id: call["id"], name: called["name"], input: readArguments(called["arguments"]) };
  });
  if (calls.some(({ input }) => input === undefined)) return undefined;
  const refused = typeof message["refusal"] === "string" && message["refusal"] !== "";
  return {
    ...messageHead(answer, usage && messagesUsage(usage)),
    content: [
      ...(typeof reasoning === "string" && reasoning !== "" ? [{ type: "thinking", thinking: reasoning, signature: "" }] : []),
      ...textBlock(message["content"]),
      ...textBlock(message["refusal"]),
      ...calls,
    ],
    stop_reason: refused ? "refusal" : stopReasonOf(choice["finish_reason"], calls.length > 0),
  };
}
