import { failure, type Failure } from "../../pipeline/failure.ts";
import type { Voice } from "../../pipeline/format.ts";
import { inBandFailure as readInBand, readError as readVendorError } from "../openai-chat/errors.ts";
import { isObject } from "../checks.ts";

const TYPES: Record<number, string> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/** Anthropic's word for the kind of an error (https://docs.anthropic.com/en/api/errors). */
const typeOf = (status: number): string => TYPES[status] ?? (status >= 500 ? "api_error" : "invalid_request_error");

/** `{type: "error", error: {type, message, details}, request_id, trace_id}`; the official clients show `details.error_code`, which is ours. */
function errorBody(of: Failure, traceId: string): string {
  const code = of.vendor ? undefined : of.code;
  return JSON.stringify({
    type: "error",
    error: { type: typeOf(of.status), message: of.message, ...(code && { details: { error_code: code, ...of.details } }) },
    request_id: traceId,
    trace_id: traceId,
  });
}

/** How we speak to Anthropic's clients. */
export const anthropicVoice: Voice = {
  errorBody,
  errorEvent: (of, traceId) => `event: error\ndata: ${errorBody(of, traceId)}\n\n`,
  heartbeat: Buffer.from('event: ping\ndata: {"type": "ping"}\n\n'),
  vendor: "anthropic",
};

const OVERLOADED = 529;
/** The vendor says by a 400 that the operator's account is empty. */
const OPERATOR_BROKE = /credit balance is too low/i;

/** An error inside a stream or inside a 200 answer: the provider failed, whatever it says. */
export function inBandFailure(value: unknown): Failure {
  const said = isObject(value) && isObject(value["error"]) ? value["error"]["type"] : undefined;
  return { ...readInBand(value), ...(said === "overloaded_error" && { status: OVERLOADED }) };
}

/** What a provider's error answer means for the client; as with OpenAI's, but that an overload keeps its own status. */
export function readError(status: number, body: Buffer, retryAfter: number | undefined): Failure {
  const read = readVendorError(status, body, retryAfter);
  if (status === OVERLOADED) return { ...read, status: OVERLOADED, retryAfter };
  if (status !== 400 || !OPERATOR_BROKE.test(read.message)) return read;
  return failure("upstream_error", {
    message: "The provider refused our request",
    record: "upstream_refused",
    class: "refused",
    elsewhere: true,
    shouldRetry: false,
  });
}
