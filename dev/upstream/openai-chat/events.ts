import { usageField } from "../content/counts.ts";
import type { ToolCall } from "../content/plan.ts";
import type { OutEvent } from "../endpoint.ts";
import { logprobsOf } from "./logprobs.ts";
import type { ChatPlan } from "./plan.ts";
import { completionUsage } from "./usage.ts";

type Chunk = (index: number, delta: object, more?: { finish?: string; logprobs?: object; usage?: object }) => string;

function chunkWriter(plan: ChatPlan, choicesOf: (choice: object) => object[]): Chunk {
  const base = { id: plan.id, object: "chat.completion.chunk", created: plan.created, model: plan.model, system_fingerprint: "fp_demo" };
  const unsaid = plan.includeUsage && plan.counts !== "none" ? { usage: null } : {};
  return (index, delta, { finish = null as string | null, logprobs = null as object | null, usage = unsaid } = {}) =>
    JSON.stringify({ ...base, choices: choicesOf({ index, delta, logprobs, finish_reason: finish }), ...usage });
}

/** The events of a streamed chat completion, in order, as OpenAI sends them; choices take turns. */
export function* chatEvents(plan: ChatPlan): Generator<OutEvent> {
  const { content, finish } = plan;
  const { faults } = plan.directives;
  const usage = usageField(plan.counts, completionUsage);
  const chunk = chunkWriter(plan, (choice) => [choice]);
  const indexes = Array.from({ length: plan.choices }, (_, i) => i);
  const word = content.end === "refusal" ? "refusal" : "content";
  const opening = { role: "assistant", content: content.pieces.length > 0 && word === "content" ? "" : null, refusal: null };
  const cumulative = cumulativeUsage(plan);

  for (const index of indexes) yield { data: chunk(index, opening) };
  for (const piece of content.reasoning)
    for (const index of indexes) yield { data: chunk(index, { reasoning_content: piece }), content: true };
  for (const [i, piece] of content.pieces.entries()) {
    const ends = i === content.pieces.length - 1 && faults.usage_last_chunk_no_done !== undefined;
    for (const index of indexes) {
      const told = faults.usage_every_chunk ? cumulative(i + 1) : ends ? usage : undefined;
      const more = {
        ...(plan.logprobs ? { logprobs: logprobsOf(piece) } : {}),
        ...(told ? { usage: told } : {}),
        ...(ends ? { finish } : {}),
      };
      yield { data: chunk(index, { [word]: piece }, more), content: true };
    }
  }
  for (const index of indexes) yield* toolEvents(content.tools, (delta) => chunk(index, delta));
  if (faults.usage_last_chunk_no_done) return;
  for (const index of indexes) yield { data: chunk(index, {}, { finish, ...(faults.usage_every_chunk ? { usage } : {}) }) };
  if (plan.includeUsage && usage.usage !== undefined && !faults.usage_every_chunk)
    yield { data: chunkWriter(plan, () => [])(0, {}, { usage }) };
  yield { data: "[DONE]", terminal: true };
}

/** Calls are announced in order; then the pieces of their arguments take turns, told apart by index alone. */
function* toolEvents(tools: ToolCall[], chunk: (delta: object) => string): Generator<OutEvent> {
  for (const [index, { id, name }] of tools.entries()) {
    const call = { index, id: `call_${id}`, type: "function", function: { name, arguments: "" } };
    yield { data: chunk({ tool_calls: [call] }), content: true };
  }
  const longest = Math.max(0, ...tools.map((tool) => tool.pieces.length));
  for (let i = 0; i < longest; i++) {
    for (const [index, { pieces }] of tools.entries()) {
      if (i >= pieces.length) continue;
      yield { data: chunk({ tool_calls: [{ index, function: { arguments: pieces[i] } }] }), content: true };
    }
  }
}

/** Usage after some of the pieces, as vendors report it that put it on every chunk. */
function cumulativeUsage({ counts, content }: ChatPlan): (done: number) => { usage?: unknown } | undefined {
  if (typeof counts === "string" || typeof counts.completion !== "number") return () => undefined;
  const all = counts.completion;
  return (done) => ({ usage: completionUsage({ ...counts, completion: Math.ceil((all * done) / content.pieces.length) }) });
}
