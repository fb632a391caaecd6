import { isObject, type Fields } from "../../checks.ts";
import { finishReasonOf } from "../../conversion/stop.ts";

/** What both a chunk and a whole answer begin with. */
export const envelope = (message: Fields, object: string): Fields => ({
  id: typeof message["id"] === "string" ? message["id"] : "chatcmpl-0",
  object,
  created: Math.floor(Date.now() / 1_000),
  model: message["model"],
});

const isThinking = ({ type }: Fields): boolean => type === "thinking" || type === "redacted_thinking";

const join = (blocks: Fields[], type: string, field: string): string =>
  blocks.flatMap((block) => (block["type"] === type && typeof block[field] === "string" ? [block[field]] : [])).join("");

/** A block of Anthropic's as a tool call of OpenAI's. */
export const toolCall = (block: Fields, args: string): Fields => ({
  id: block["id"],
  type: "function",
  function: { name: block["name"], arguments: args },
});

/** A complete message as a chat completion. `usage` is left out when it is not known. */
export function completionOf(message: Fields, blocks: Fields[], usage: Fields | undefined): Fields {
  const calls = blocks.filter(({ type }) => type === "tool_use").map((block) => toolCall(block, JSON.stringify(block["input"] ?? {})));
  const thinking = blocks.filter((block) => isThinking(block));
  const text = join(blocks, "text", "text");
  const reasoning = join(blocks, "thinking", "thinking");
  const details = message["stop_details"];
  const refusal = isObject(details) && typeof details["explanation"] === "string" ? details["explanation"] : null;
  return {
    ...envelope(message, "chat.completion"),
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === "" && calls.length > 0 ? null : text,
          refusal,
          ...(reasoning !== "" && { reasoning_content: reasoning }),
          ...(thinking.length > 0 && { thinking_blocks: thinking }),
          ...(calls.length > 0 && { tool_calls: calls }),
        },
        logprobs: null,
        finish_reason: finishReasonOf(message["stop_reason"]),
      },
    ],
    ...(usage && { usage }),
  };
}
