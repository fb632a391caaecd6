import { UNKNOWN_CONTEXT } from "../attachments/index.ts";
import { newBudget } from "../tokens/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import type { Failure } from "./failure.ts";

/**
 * Counts the prompt and settles how long the answer may be, once for each call: a limit on tokens and the hold both need them. Answers a
 * failure when the prompt does not fit the model.
 */
export function measure(deps: Pick<RelayDeps, "tokenizer" | "config">, call: Call): Failure | undefined {
  if (call.measured) return undefined;
  const request = call.request!;
  const model = call.model!;
  const { maxOutputTokens } = model;
  const modelCap = maxOutputTokens ?? undefined;
  const cap = Math.min(request.outputCap ?? modelCap ?? deps.config.defaultMaxOutputTokens, modelCap ?? Infinity);
  const counted = request.countPrompt(deps.tokenizer, newBudget(), model);
  if (typeof counted !== "number" && "code" in counted) return counted;
  call.measured = true;
  // What a provider said of an earlier answer may be anything; a model reads no more than its window.
  const carried = Math.min(call.carriedTokens, model.contextLength ?? UNKNOWN_CONTEXT);
  call.promptTokens = (typeof counted === "number" ? counted : counted.tokens) + carried;
  if (typeof counted !== "number") {
    call.unseenTokens = counted.unseen;
    call.besideAnswer = (counted.besideAnswer ?? 0) * request.choices;
  }
  call.outputLimit = cap * request.choices;
  // What the client named stands; what it did not name has to be said, or the provider would go by its own idea of a cap.
  if (request.outputCap === undefined || cap < request.outputCap) call.sentCap = cap;
  return undefined;
}
