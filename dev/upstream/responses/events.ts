import type { OutEvent } from "../endpoint.ts";
import { endOf, outputOf, partOf, responseOf } from "./response.ts";
import type { ResponsePlan } from "./plan.ts";

/** An event before it is numbered. */
interface Step {
  type: string;
  fields: object;
  content?: boolean;
  terminal?: boolean;
}

/** An event of the Responses API: named, typed, numbered. */
export function numbered({ type, fields, ...more }: Step, sequence: number): OutEvent {
  return { event: type, data: JSON.stringify({ type, ...fields, sequence_number: sequence }), ...more };
}

/** The events of a streamed response, in order, as OpenAI sends them. */
export function* responseEvents(plan: ResponsePlan): Generator<OutEvent> {
  let sequence = 0;
  for (const step of steps(plan)) yield numbered(step, sequence++);
}

function* steps(plan: ResponsePlan): Generator<Step> {
  const { reasoning, pieces, tools, end } = plan.content;
  yield { type: "response.created", fields: { response: responseOf(plan, "in_progress") } };
  yield { type: "response.in_progress", fields: { response: responseOf(plan, "in_progress") } };
  const items = outputOf(plan) as { id: string }[];
  let index = 0;
  if (reasoning.length > 0) yield* reasoningSteps(items[index]!, index++, reasoning);
  if (pieces.length > 0) yield* messageSteps(items[index]!, index++, pieces, end === "refusal");
  for (const tool of tools) yield* callSteps(items[index]!, index++, tool.pieces);
  const status = endOf(plan);
  yield { type: `response.${status}`, fields: { response: responseOf(plan, status) }, terminal: true };
}

/** An item's start and end around its own steps. */
function* item(done: { id: string }, index: number, empty: object, inside: Iterable<Step>): Generator<Step> {
  yield { type: "response.output_item.added", fields: { output_index: index, item: { ...done, ...empty } } };
  yield* inside;
  yield { type: "response.output_item.done", fields: { output_index: index, item: done } };
}

function* reasoningSteps(done: { id: string }, index: number, pieces: string[]): Generator<Step> {
  const at = { item_id: done.id, output_index: index, summary_index: 0 };
  const text = pieces.join("");
  yield* item(done, index, { summary: [] }, [
    { type: "response.reasoning_summary_part.added", fields: { ...at, part: { type: "summary_text", text: "" } } },
    ...pieces.map((delta) => ({ type: "response.reasoning_summary_text.delta", fields: { ...at, delta }, content: true })),
    { type: "response.reasoning_summary_text.done", fields: { ...at, text } },
    { type: "response.reasoning_summary_part.done", fields: { ...at, part: { type: "summary_text", text } } },
  ]);
}

function* messageSteps(done: { id: string }, index: number, pieces: string[], refusal: boolean): Generator<Step> {
  const at = { item_id: done.id, output_index: index, content_index: 0 };
  const text = pieces.join("");
  const kind = refusal ? "refusal" : "output_text";
  const logprobs = refusal ? {} : { logprobs: [] };
  yield* item(done, index, { status: "in_progress", content: [] }, [
    { type: "response.content_part.added", fields: { ...at, part: partOf("", refusal) } },
    ...pieces.map((delta) => ({ type: `response.${kind}.delta`, fields: { ...at, delta, ...logprobs }, content: true })),
    { type: `response.${kind}.done`, fields: { ...at, [refusal ? "refusal" : "text"]: text, ...logprobs } },
    { type: "response.content_part.done", fields: { ...at, part: partOf(text, refusal) } },
  ]);
}

function* callSteps(done: { id: string }, index: number, pieces: string[]): Generator<Step> {
  const at = { item_id: done.id, output_index: index };
  yield* item(done, index, { status: "in_progress", arguments: "" }, [
    ...pieces.map((delta) => ({ type: "response.function_call_arguments.delta", fields: { ...at, delta }, content: true })),
    { type: "response.function_call_arguments.done", fields: { ...at, arguments: pieces.join("") } },
  ]);
}
