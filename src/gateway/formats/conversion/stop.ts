import { wordOf } from "../checks.ts";
const TO_CHAT: Record<string, string> = {
  end_turn: "stop",
  stop_sequence: "stop",
  pause_turn: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

/** Why an answer stopped, from Anthropic's word to OpenAI's. One that is not known has at least stopped. */
export const finishReasonOf = (stopReason: unknown): string => TO_CHAT[wordOf(stopReason)] ?? "stop";

/** The same the other way. OpenAI does not tell a stop sequence from the answer's own end; some vendors say `stop` after a tool call. */
export function stopReasonOf(finishReason: unknown, calledTools: boolean): string {
  switch (finishReason) {
    case "length":
      return "max_tokens";
    case "content_filter":
      return "refusal";
    case "tool_calls":
    case "function_call":
      return "tool_use";
    default:
      return calledTools ? "tool_use" : "end_turn";
  }
}
