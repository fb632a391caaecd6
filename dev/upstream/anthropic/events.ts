import type { OutEvent } from "../endpoint.ts";
import { deltaUsage, emptyMessage, stopOf, toolBlock } from "./message.ts";
import type { MessagePlan } from "./plan.ts";

function named(type: string, fields: object = {}, more: Partial<OutEvent> = {}): OutEvent {
  return { event: type, data: JSON.stringify({ type, ...fields }), ...more };
}

/** One block from its start to its end. */
function* block(index: number, start: object, deltas: { delta: object; content: boolean }[]): Generator<OutEvent> {
  yield named("content_block_start", { index, content_block: start });
  for (const { delta, content } of deltas) yield named("content_block_delta", { index, delta }, { content });
  yield named("content_block_stop", { index });
}

const deltasOf = (type: string, field: string, pieces: string[]): { delta: object; content: boolean }[] =>
  pieces.map((piece) => ({ delta: { type, [field]: piece }, content: true }));

/** The events of a streamed message, in order, as Anthropic sends them. */
export function* messageEvents(plan: MessagePlan): Generator<OutEvent> {
  const { reasoning, pieces, tools } = plan.content;
  let index = 0;
  yield named("message_start", { message: emptyMessage(plan) });
  for (let i = 0; i < (plan.directives.pings ?? 1); i++) yield named("ping");
  if (reasoning.length > 0) {
    const signature = { delta: { type: "signature_delta", signature: plan.signature }, content: false };
    yield* block(index++, { type: "thinking", thinking: "", signature: "" }, [
      ...deltasOf("thinking_delta", "thinking", reasoning),
      signature,
    ]);
  }
  if (pieces.length > 0) yield* block(index++, { type: "text", text: "", citations: null }, deltasOf("text_delta", "text", pieces));
  for (const tool of tools) {
    yield* block(index++, toolBlock(tool, {}), deltasOf("input_json_delta", "partial_json", ["", ...tool.pieces]));
  }
  yield named("message_delta", { delta: stopOf(plan), ...deltaUsage(plan) });
  yield named("message_stop", {}, { terminal: true });
}
