import { createHash } from "node:crypto";
import type { Incident } from "../incidents.ts";
import { refusedAnswer } from "./answers.ts";
import { tokensUsed, type DifyMessage } from "./message.ts";
import { UNCHARGED, type Outcome } from "./outcome.ts";
import type { Unpaid } from "./reported.ts";
import type { KeptEvent } from "./repository.ts";

/** What is written of messages and, for operators, of what is odd about them. */

/** The row of a message and what became of it. */
export function rowOf(
  { id, message }: Pick<Unpaid, "id" | "message">,
  { answer, kept }: Outcome,
  of: Pick<KeptEvent, "received_at" | "deliveries" | "processing_ms">,
): KeptEvent {
  return {
    id,
    message_id: message.messageId,
    request_id: message.requestId,
    conversation_id: message.conversationId,
    external_user: message.user,
    model_name: message.model,
    input_tokens: message.inputTokens,
    output_tokens: message.outputTokens,
    total_tokens: message.totalTokens,
    happened_at: message.at.toISOString(),
    ...of,
    last_delivery_at: new Date().toISOString(),
    ...kept,
    status: answer.status,
    answer: answer.body,
    resolved_at: null,
    resolved_by: null,
    note: null,
  };
}

/** The outcome of a message that can be charged by no rule we know of: an operator finds out why. */
export const asideOutcome = (traceId: string): Outcome => ({
  answer: refusedAnswer("internal_error", "The message could not be charged; it is kept for an operator", traceId),
  kept: { ...UNCHARGED, state: "open", reason: "settlement_refused" },
});

/** A message that was put aside, and the error that it met. */
export const asideIncident = (id: string, message: DifyMessage, error: Error): Incident => ({
  kind: "settlement_refused",
  subject: id,
  details: { message_id: message.messageId, model: message.model, user: message.user, error: error.message },
});

/** What does not add up is for operators to see. */
export function oddities({ id, message }: Unpaid, outcome: Outcome): Incident[] {
  const subject = { kind: "usage_disagrees", subject: id, userId: outcome.kept.user_id } as const;
  if (outcome.disagrees) {
    const reported = { input: message.inputTokens, output: message.outputTokens };
    return [{ ...subject, details: { message_id: message.messageId, relayed: outcome.disagrees, reported } }];
  }
  if (message.totalTokens === tokensUsed(message)) return [];
  return [{ ...subject, details: { message_id: message.messageId, total_tokens: message.totalTokens, parts: tokensUsed(message) } }];
}

const saying = ({ messageId, user, model, inputTokens, outputTokens, totalTokens }: DifyMessage) => ({
  message_id: messageId,
  user,
  model,
  input_tokens: inputTokens,
  output_tokens: outputTokens,
  total_tokens: totalTokens,
});

/** Whether a repeat says what the first one said, as far as it is charged for. */
export const saysTheSame = (a: DifyMessage, b: DifyMessage): boolean => JSON.stringify(saying(a)) === JSON.stringify(saying(b));

/** A repeat that says something else than the first: a correction, or another message under a request id that was used. Each once. */
export function conflict(firstId: string, first: DifyMessage, second: DifyMessage): Incident {
  const said = saying(second);
  const mark = createHash("sha256").update(JSON.stringify(said)).digest("hex").slice(0, 16);
  return {
    kind: "message_differs",
    subject: `${firstId}:${mark}`,
    details: { event: firstId, request_id: second.requestId, first: saying(first), second: said },
  };
}
