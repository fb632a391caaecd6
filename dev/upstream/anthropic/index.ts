import { lastUserText } from "../content/tokens.ts";
import type { Endpoint } from "../endpoint.ts";
import { anthropic } from "../vendors.ts";
import { inputTokens } from "./count.ts";
import { messageEvents } from "./events.ts";
import { wholeMessage } from "./message.ts";
import { planMessage } from "./plan.ts";
import { check } from "./request.ts";

const prompt = (body: Record<string, unknown>): string => lastUserText(body["messages"]);

/** Anthropic's messages: https://docs.claude.com/en/api/messages */
export const messages: Endpoint = {
  method: "POST",
  path: /^\/v1\/messages$/,
  vendor: anthropic,
  prompt,
  answer(asked) {
    check(asked, false);
    const plan = planMessage(asked);
    if (asked.body["stream"] !== true) return { kind: "whole", body: wholeMessage(plan), steps: plan.content.pieces.length };
    const error = { type: "error", error: { type: "overloaded_error", message: "Overloaded" }, request_id: `req_${plan.id.slice(4)}` };
    return { kind: "events", events: messageEvents(plan), error: () => ({ event: "error", data: JSON.stringify(error) }) };
  },
};

/** How many tokens a message would have: free of charge. */
export const countTokens: Endpoint = {
  method: "POST",
  path: /^\/v1\/messages\/count_tokens$/,
  vendor: anthropic,
  prompt,
  answer(asked) {
    check(asked, true);
    return { kind: "whole", body: { input_tokens: asked.directives.usage?.prompt ?? inputTokens(asked.body) } };
  },
};
