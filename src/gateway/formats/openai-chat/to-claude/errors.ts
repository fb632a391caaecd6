import type { Failure } from "../../../pipeline/failure.ts";

const OVERLOADED = 529;

/** OpenAI's clients know no 529, and no types of Anthropic's. */
export function inOpenaiWords(of: Failure): Failure {
  const status = of.status === OVERLOADED ? 503 : of.status;
  const vendor = of.vendor && { type: "invalid_request_error", code: status === 404 ? "model_not_found" : null };
  return { ...of, status, ...(vendor && { vendor }) };
}
