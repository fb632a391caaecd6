import { positive } from "../content/plan.ts";
import { lastUserText } from "../content/tokens.ts";
import { refuse, type Asked, type Endpoint } from "../endpoint.ts";
import { overloadedEvent } from "../overloaded.ts";
import { openai } from "../vendors.ts";
import { chatEvents } from "./events.ts";
import { planChat } from "./plan.ts";
import { wholeCompletion } from "./whole.ts";

function check({ body }: Asked): void {
  const { model, messages } = body;
  if (typeof model !== "string") refuse("you must provide a model parameter");
  const right = Array.isArray(messages) && messages.length > 0 && messages.every((one) => typeof one === "object" && one !== null);
  if (!right) refuse("model and messages are required", "messages");
  if (/^(o\d|gpt-5)/.test(model) && body["max_tokens"] !== undefined && body["max_tokens"] !== null) {
    const text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    refuse(text, "max_tokens", "unsupported_parameter");
  }
  if ((positive(body["n"]) ?? 1) > 128) refuse("Invalid 'n': integer above maximum value.", "n", "integer_above_max_value");
}

/** OpenAI's chat completions: https://platform.openai.com/docs/api-reference/chat */
export const chatCompletions: Endpoint = {
  method: "POST",
  path: /^\/v1\/chat\/completions$/,
  vendor: openai,
  prompt: (body) => lastUserText(body["messages"]),
  answer(asked) {
    check(asked);
    const plan = planChat(asked);
    if (asked.body["stream"] !== true) return { kind: "whole", body: wholeCompletion(plan), steps: plan.content.pieces.length };
    return { kind: "events", events: chatEvents(plan), error: overloadedEvent };
  },
};
