import { responseUsage, type ResponsePlan } from "./plan.ts";

export type Status = "in_progress" | "completed" | "incomplete" | "failed";

/** How a response ends when nothing goes wrong. */
export function endOf(plan: ResponsePlan): "completed" | "incomplete" {
  return plan.content.end === "length" ? "incomplete" : "completed";
}

/** The output items as they are at the end. */
export function outputOf(plan: ResponsePlan): object[] {
  const { reasoning, pieces, tools, end } = plan.content;
  const ids = [...plan.itemIds];
  const items: object[] = [];
  if (reasoning.length > 0)
    items.push({ id: `rs_${ids.shift()}`, type: "reasoning", summary: [{ type: "summary_text", text: reasoning.join("") }] });
  if (pieces.length > 0) {
    const status = endOf(plan);
    items.push({
      id: `msg_${ids.shift()}`,
      type: "message",
      status,
      role: "assistant",
      content: [partOf(pieces.join(""), end === "refusal")],
    });
  }
  for (const tool of tools) {
    const call = { type: "function_call", status: "completed", call_id: `call_${tool.id}`, name: tool.name };
    items.push({ id: `fc_${ids.shift()}`, ...call, arguments: tool.pieces.join("") });
  }
  return items;
}

/** A part of a message. */
export function partOf(text: string, refusal: boolean): object {
  return refusal ? { type: "refusal", refusal: text } : { type: "output_text", text, annotations: [], logprobs: [] };
}

/** The response object with this status; usage only when it has ended. */
export function responseOf(plan: ResponsePlan, status: Status): object {
  const { body } = plan;
  const ended = status === "completed" || status === "incomplete";
  const error = status === "failed" ? { code: "server_error", message: "The demo upstream was told to fail." } : null;
  return {
    id: plan.id,
    object: "response",
    created_at: plan.created,
    completed_at: ended ? plan.created : null,
    status,
    background: false,
    error,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: body["instructions"] ?? null,
    max_output_tokens: body["max_output_tokens"] ?? null,
    max_tool_calls: body["max_tool_calls"] ?? null,
    metadata: body["metadata"] ?? {},
    model: body["model"],
    output: ended ? outputOf(plan) : [],
    parallel_tool_calls: body["parallel_tool_calls"] ?? true,
    previous_response_id: body["previous_response_id"] ?? null,
    prompt_cache_key: body["prompt_cache_key"] ?? null,
    reasoning: body["reasoning"] ?? { effort: null, summary: null },
    safety_identifier: null,
    service_tier: "default",
    store: body["store"] ?? true,
    temperature: body["temperature"] ?? 1,
    text: body["text"] ?? { format: { type: "text" } },
    tool_choice: body["tool_choice"] ?? "auto",
    tools: body["tools"] ?? [],
    top_logprobs: 0,
    top_p: body["top_p"] ?? 1,
    truncation: body["truncation"] ?? "disabled",
    user: null,
    ...(ended ? responseUsage(plan) : { usage: null }),
  };
}
