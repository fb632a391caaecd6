import type { Failure } from "../../pipeline/failure.ts";
import type { Voice } from "../../pipeline/format.ts";
import { failure } from "../../pipeline/failure.ts";
import { sanitizeMessage } from "../../upstream/sanitize.ts";

const QUOTA: ReadonlySet<string> = new Set([
  "balance_on_hold",
  "spend_limit_reached",
  "spend_limit_on_hold",
  "quota_exceeded",
  "quota_on_hold",
]);

/** OpenAI's word for the kind of an error; `code` stays ours, except where its clients look for a certain one. */
function typeOf(of: Failure): string {
  if (of.vendor?.type) return of.vendor.type;
  switch (of.status) {
    case 401:
      return "invalid_request_error";
    case 402:
      return "insufficient_quota";
    case 403:
      return "permission_error";
    case 429:
      return QUOTA.has(of.code) ? "insufficient_quota" : "rate_limit_exceeded";
    case 504:
      return "timeout";
    default:
      return of.status >= 500 ? (of.code === "upstream_error" ? "upstream_error" : "server_error") : "invalid_request_error";
  }
}

function codeOf(of: Failure): string | null {
  if (of.vendor) return of.vendor.code;
  return of.code === "unauthenticated" ? "invalid_api_key" : of.code;
}

/** `{error: {message, type, param, code, details?}, trace_id}`; the official clients read the first four keys. */
function errorBody(of: Failure, traceId: string): string {
  return JSON.stringify({
    error: { message: of.message, type: typeOf(of), param: of.param ?? null, code: codeOf(of), details: of.details },
    trace_id: traceId,
  });
}

/** How we speak to OpenAI's clients; an error event they throw with our message and code. */
export const openaiVoice: Voice = {
  errorBody,
  errorEvent: (of, traceId) => `data: ${errorBody(of, traceId)}\n\n`,
  heartbeat: Buffer.from(": keep-alive\n\n"),
  vendor: "openai",
};

interface VendorError {
  message: string | undefined;
  type: string | null;
  code: string | null;
  param: string | null;
}

const word = (value: unknown): string | null => (typeof value === "string" && /^[\w.:-]{1,64}$/.test(value) ? value : null);

/** Finds message and code in whatever JSON a provider calls an error. */
export function readVendorError(said: unknown): VendorError {
  // Google's are in a list.
  const value: unknown = Array.isArray(said) ? said[0] : said;
  const outer = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const inner = typeof outer["error"] === "object" && outer["error"] !== null ? (outer["error"] as Record<string, unknown>) : outer;
  const text = typeof inner["message"] === "string" ? inner["message"] : typeof outer["error"] === "string" ? outer["error"] : undefined;
  const param = typeof inner["param"] === "string" && /^[\w.[\]-]{1,128}$/.test(inner["param"]) ? inner["param"] : null;
  return { message: text === undefined ? undefined : sanitizeMessage(text), type: word(inner["type"]), code: word(inner["code"]), param };
}

/** Some vendors say only by `finish_reason: "error"` that an answer has failed. */
export function endsInError(fields: Record<string, unknown>): boolean {
  const choices = fields["choices"];
  return (
    Array.isArray(choices) &&
    choices.some((choice) => (choice as Record<string, unknown> | null | undefined)?.["finish_reason"] === "error")
  );
}

/** An error inside a stream or inside a 200 answer: the provider failed, whatever it says. */
export function inBandFailure(value: unknown): Failure {
  const said = readVendorError(value);
  return failure("upstream_error", {
    message: said.message ? `The provider failed: ${said.message}` : "The provider failed",
    record: "upstream_error_event",
    class: "server",
    elsewhere: true,
  });
}

/** Google says by a 400 that our key is no good. */
const OUR_KEY = /^API key (?:not valid|expired|not found)/i;

const PASSED = new Set([400, 404, 413, 415, 422]);

/** What a provider's error answer means for the client: its own mistake, the operator's problem, or a failure worth another try. */
export function readError(status: number, body: Buffer, retryAfter: number | undefined): Failure {
  let said: VendorError = { message: undefined, type: null, code: null, param: null };
  try {
    said = readVendorError(JSON.parse(body.toString("utf8")));
  } catch {
    // Not JSON: a proxy's page, nothing for a stranger.
  }
  if (PASSED.has(status) && !OUR_KEY.test(said.message ?? "")) {
    return failure("validation_failed", {
      status,
      message: said.message ?? "The provider refused the request",
      record: "upstream_rejected",
      class: "rejected",
      param: said.param,
      vendor: { type: said.type ?? "invalid_request_error", code: said.code },
    });
  }
  if (status === 429 && said.code !== "insufficient_quota" && said.type !== "insufficient_quota") {
    return failure("upstream_rate_limited", {
      record: "upstream_rate_limited",
      class: "rate_limited",
      retryAfter: retryAfter ?? 1,
      elsewhere: true,
    });
  }
  if (status === 408) return failure("upstream_timeout", { record: "upstream_timeout", class: "timeout", elsewhere: true });
  if (status >= 500)
    return failure("upstream_error", {
      message: `The provider answered ${status}`,
      record: "upstream_5xx",
      class: "server",
      elsewhere: true,
    });
  // 401, 402, 403, a spent account, redirects: for the operator to mend, and none of the caller's business.
  return failure("upstream_error", {
    message: "The provider refused our request",
    record: "upstream_refused",
    class: "refused",
    elsewhere: true,
    // Nothing the caller repeats will mend it.
    shouldRetry: false,
  });
}
