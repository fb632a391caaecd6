import type { Queryable } from "../../platform/postgres.ts";
import { tokensUsed, type DifyMessage } from "./message.ts";
import type { FirstEvent } from "./repository.ts";

/** Whether the total of a message is the sum of its parts. */
export const addsUp = (message: DifyMessage): boolean => message.totalTokens === tokensUsed(message);

/**
 * The report that takes the place of an earlier one: of the same message, and its numbers add up where those of the first, of which nobody was
 * charged, do not. Undefined when there is none.
 */
export function correctionOf(first: FirstEvent, reports: readonly DifyMessage[]): DifyMessage | undefined {
  if (first.state !== "open" || first.charged || addsUp(first.message)) return undefined;
  return reports.find((message) => message.messageId === first.message.messageId && addsUp(message));
}

/** Writes a correction in the caller's transaction, which has locked the event. */
export async function storeCorrection(tx: Queryable, id: string, message: DifyMessage): Promise<void> {
  await tx.query(
    `UPDATE dify_events SET request_id = $2, conversation_id = $3, external_user = $4, model_name = $5, input_tokens = $6, output_tokens = $7,
       total_tokens = $8, happened_at = $9 WHERE id = $1`,
    [
      id,
      message.requestId,
      message.conversationId,
      message.user,
      message.model,
      message.inputTokens,
      message.outputTokens,
      message.totalTokens,
      message.at,
    ],
  );
}
