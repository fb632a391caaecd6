import { usageField } from "../content/counts.ts";
import type { Endpoint, OutEvent } from "../endpoint.ts";
import { completionUsage } from "../openai-chat/usage.ts";
import { overloadedEvent } from "../overloaded.ts";
import { openai } from "../vendors.ts";
import { planCompletion, type CompletionPlan } from "./plan.ts";

function* events({ base, choices, counts, includeUsage }: CompletionPlan): Generator<OutEvent> {
  const counted = includeUsage && counts !== "none";
  const chunk = (index: number, text: string, reason: string | null): string =>
    JSON.stringify({
      ...base,
      choices: [{ text, index, logprobs: null, finish_reason: reason }],
      ...(counted ? { usage: null } : {}),
    });
  for (const { index, echo, content, finish } of choices) {
    for (const text of [...echo, ...content.pieces]) yield { data: chunk(index, text, null), content: true };
    yield { data: chunk(index, "", finish) };
  }
  if (counted) yield { data: JSON.stringify({ ...base, choices: [], ...usageField(counts, completionUsage) }) };
  yield { data: "[DONE]", terminal: true };
}

function whole({ base, choices, counts }: CompletionPlan): object {
  const said = choices.map(({ index, echo, content, finish }) => ({
    text: [...echo, ...content.pieces].join(""),
    index,
    logprobs: null,
    finish_reason: finish,
  }));
  return { ...base, choices: said, ...usageField(counts, completionUsage) };
}

/** OpenAI's legacy completions: https://platform.openai.com/docs/api-reference/completions */
export const completions: Endpoint = {
  method: "POST",
  path: /^\/v1\/completions$/,
  vendor: openai,
  prompt: ({ prompt }) => String((Array.isArray(prompt) ? (prompt as unknown[]).at(-1) : prompt) ?? ""),
  answer(asked) {
    const plan = planCompletion(asked);
    if (asked.body["stream"] === true) return { kind: "events", events: events(plan), error: overloadedEvent };
    return { kind: "whole", body: whole(plan), steps: plan.choices[0]?.content.pieces.length ?? 0 };
  },
};
