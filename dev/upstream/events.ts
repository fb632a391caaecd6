import type { Plan } from "./plan.ts";

/** One server-sent event of the answer. */
export interface OutEvent {
  data: string;
  /** It carries a piece of the answer. */
  content: boolean;
}

const STRANGE = { x_strange: { deep: [1, null, { κλειδί: "τιμή" }] }, provider: "demo", obfuscation: "aGVsbG8" };

/** The events of a streamed chat completion, in order, as OpenAI sends them, changed by what the plan says. */
export function* eventsOf(plan: Plan): Generator<OutEvent> {
  const { faults } = plan.directives;
  const strange = faults.unknown_fields ? STRANGE : {};
  const wantsNull = plan.includeUsage && !faults.no_usage;
  const indexes = Array.from({ length: plan.choices }, (_, i) => i);

  function chunk(choices: object[], usage?: object | null): string {
    const shown = usage === undefined ? (wantsNull ? { usage: null } : {}) : { usage };
    const base = { id: plan.id, object: "chat.completion.chunk", created: plan.created, model: plan.model, system_fingerprint: "fp_demo" };
    return JSON.stringify({ ...base, choices, ...shown, ...strange });
  }
  const choice = (index: number, delta: object, finish: string | null = null) => ({
    index,
    delta: faults.unknown_fields ? { ...delta, x_mood: "calm" } : delta,
    logprobs: null,
    finish_reason: finish,
  });

  for (const index of indexes)
    yield { data: chunk([choice(index, { role: "assistant", content: plan.tool ? null : "", refusal: null })]), content: false };
  yield* toolEvents(plan, (index, delta) => chunk([choice(index, delta)]));

  const last = plan.pieces.length - 1;
  for (const [i, piece] of plan.pieces.entries()) {
    const ends = i === last && faults.usage_last_chunk_no_done !== undefined;
    for (const index of indexes) {
      const usage = faults.usage_every_chunk ? cumulative(plan.usage, i + 1, plan.pieces.length) : ends ? plan.usage : undefined;
      yield { data: chunk([choice(index, { content: piece }, ends ? plan.finish : null)], usage), content: true };
    }
  }
  if (faults.usage_last_chunk_no_done) return;
  for (const index of indexes) {
    yield { data: chunk([choice(index, {}, plan.finish)], faults.usage_every_chunk ? plan.usage : undefined), content: false };
  }
  if (plan.includeUsage && plan.usage && !faults.usage_every_chunk) yield { data: chunk([], plan.usage), content: false };
  if (!faults.no_done) yield { data: "[DONE]", content: false };
}

function* toolEvents(plan: Plan, chunk: (index: number, delta: object) => string): Generator<OutEvent> {
  if (!plan.tool) return;
  const { id, name, pieces } = plan.tool;
  yield { data: chunk(0, { tool_calls: [{ index: 0, id, type: "function", function: { name, arguments: "" } }] }), content: true };
  for (const piece of pieces) yield { data: chunk(0, { tool_calls: [{ index: 0, function: { arguments: piece } }] }), content: true };
}

/** Usage after `done` of `total` pieces. */
function cumulative(usage: object | undefined, done: number, total: number): object | undefined {
  if (!usage) return undefined;
  const { prompt_tokens: prompt, completion_tokens: completion } = usage as { prompt_tokens: number; completion_tokens: number };
  const soFar = Math.ceil((completion * done) / total);
  return { ...usage, completion_tokens: soFar, total_tokens: prompt + soFar };
}

/** The same answer in one piece. */
export function completionOf(plan: Plan): object {
  const { faults } = plan.directives;
  const message = plan.tool
    ? {
        role: "assistant",
        content: null,
        refusal: null,
        tool_calls: [{ id: plan.tool.id, type: "function", function: { name: plan.tool.name, arguments: plan.tool.pieces.join("") } }],
      }
    : { role: "assistant", content: plan.pieces.join(""), refusal: null };
  return {
    id: plan.id,
    object: "chat.completion",
    created: plan.created,
    model: plan.model,
    choices: Array.from({ length: plan.choices }, (_, index) => ({ index, message, logprobs: null, finish_reason: plan.finish })),
    ...(plan.usage ? { usage: plan.usage } : {}),
    system_fingerprint: "fp_demo",
    ...(faults.unknown_fields ? STRANGE : {}),
  };
}
