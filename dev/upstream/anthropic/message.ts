import { less, usageField, type Counts } from "../content/counts.ts";
import type { MessagePlan } from "./plan.ts";

/** Input counts as Anthropic writes them: what came from a cache or went into one is not in `input_tokens`. */
function inputUsage(counts: Counts): object {
  return {
    input_tokens: less(counts.prompt, counts.cached + counts.cacheWrite),
    cache_creation_input_tokens: counts.cacheWrite,
    cache_read_input_tokens: counts.cached,
  };
}

/** The usage of a message; at a stream's start `output` is a placeholder. */
function usageOf(counts: Counts, output: Counts["completion"]): object {
  return {
    ...inputUsage(counts),
    cache_creation: {
      ephemeral_5m_input_tokens: counts.cacheWrite - counts.cacheWriteHour,
      ephemeral_1h_input_tokens: counts.cacheWriteHour,
    },
    output_tokens: output,
    output_tokens_details: counts.reasoning > 0 && output === counts.completion ? { thinking_tokens: counts.reasoning } : null,
    server_tool_use: null,
    service_tier: "standard",
  };
}

/** Cumulative usage, as `message_delta` has it. */
export function deltaUsage(plan: MessagePlan): { usage?: unknown } {
  if (plan.directives.faults.no_usage) return {};
  return usageField(plan.counts, (counts) => ({
    ...inputUsage(counts),
    output_tokens: counts.completion,
    output_tokens_details: counts.reasoning > 0 ? { thinking_tokens: counts.reasoning } : null,
    server_tool_use: null,
  }));
}

const stopDetails = ({ stopReason }: MessagePlan): object | null =>
  stopReason === "refusal" ? { type: "refusal", category: "general_harms", explanation: null } : null;

/** The end of a message: why it stopped. */
export function stopOf(plan: MessagePlan): object {
  return { stop_reason: plan.stopReason, stop_sequence: plan.content.stopSequence, stop_details: stopDetails(plan) };
}

const base = ({ id, model }: MessagePlan): object => ({ id, type: "message", role: "assistant", model });

const PLACEHOLDER = 1;

/** The message at the start of a stream: empty, with input counts and a placeholder for the output. */
export function emptyMessage(plan: MessagePlan): object {
  const usage = usageField(plan.counts, (counts) => usageOf(counts, PLACEHOLDER));
  return { ...base(plan), content: [], stop_reason: null, stop_sequence: null, stop_details: null, ...usage };
}

/** A tool call as a block; while it is streamed its input is empty. */
export function toolBlock({ id, name }: { id: string; name: string }, input: unknown): object {
  return { type: "tool_use", id: `toolu_${id}`, name, input, caller: { type: "direct" } };
}

/** The message in one piece. */
export function wholeMessage(plan: MessagePlan): object {
  const { reasoning, pieces, tools } = plan.content;
  const content = [
    ...(reasoning.length > 0 ? [{ type: "thinking", thinking: reasoning.join(""), signature: plan.signature }] : []),
    ...(pieces.length > 0 ? [{ type: "text", text: pieces.join(""), citations: null }] : []),
    ...tools.map((tool) => toolBlock(tool, JSON.parse(tool.pieces.join("")))),
  ];
  return { ...base(plan), content, ...stopOf(plan), ...usageField(plan.counts, (counts) => usageOf(counts, counts.completion)) };
}
