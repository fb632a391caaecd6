import { usageField } from "../content/counts.ts";
import { logprobsOf } from "./logprobs.ts";
import type { ChatPlan } from "./plan.ts";
import { completionUsage } from "./usage.ts";

/** A chat completion in one piece. */
export function wholeCompletion(plan: ChatPlan): object {
  const { pieces, reasoning, tools, end } = plan.content;
  const text = pieces.length > 0 ? pieces.join("") : null;
  const calls = tools.map((tool) => ({
    id: `call_${tool.id}`,
    type: "function",
    function: { name: tool.name, arguments: tool.pieces.join("") },
  }));
  const message = {
    role: "assistant",
    content: end === "refusal" ? null : text,
    refusal: end === "refusal" ? text : null,
    annotations: [],
    ...(reasoning.length > 0 ? { reasoning_content: reasoning.join("") } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  const logprobs = plan.logprobs ? logprobsOf(text ?? "") : null;
  return {
    id: plan.id,
    object: "chat.completion",
    created: plan.created,
    model: plan.model,
    choices: Array.from({ length: plan.choices }, (_, index) => ({ index, message, logprobs, finish_reason: plan.finish })),
    ...usageField(plan.counts, completionUsage),
    system_fingerprint: "fp_demo",
  };
}
