import type { ErrorCode } from "../../../platform/errors.ts";
import { failure, type Failure } from "../../pipeline/failure.ts";
import type { Voice } from "../../pipeline/format.ts";
import { sanitizeMessage } from "../../upstream/sanitize.ts";
import { isObject } from "../checks.ts";

/** Dify's own words for what its clients look for; everything else keeps our code. */
const CODES: Partial<Record<ErrorCode, string>> = {
  unauthenticated: "unauthorized",
  validation_failed: "invalid_param",
  rate_limited: "too_many_requests",
  internal_error: "internal_server_error",
};

const codeOf = (of: Failure): string => of.vendor?.code ?? CODES[of.code] ?? of.code;

/** Dify's shape: `{code, message, status}`, and the trace id. */
const errorBody = (of: Failure, traceId: string): string =>
  JSON.stringify({ code: codeOf(of), message: of.message, status: of.status, trace_id: traceId });

/** How we speak to Dify's clients. Their streams know comments, and an event for errors. */
export const difyVoice: Voice = {
  errorBody,
  errorEvent: (of, traceId) =>
    `data: ${JSON.stringify({ event: "error", code: codeOf(of), message: of.message, status: of.status, trace_id: traceId })}\n\n`,
  heartbeat: Buffer.from(": keep-alive\n\n"),
  vendor: "openai",
};

interface Said {
  code: string | null;
  message: string | undefined;
}

const WORD = /^[\w.:-]{1,64}$/;

/** Code and message of Dify's error, in an answer or an event. */
function readSaid(value: unknown): Said {
  const { code, message } = isObject(value) ? value : {};
  return {
    code: typeof code === "string" && WORD.test(code) ? code : null,
    message: typeof message === "string" ? sanitizeMessage(message) : undefined,
  };
}

/** The app has no paid model behind it: for the operator to mend, and none of the caller's business. */
const OPERATORS = new Set(["provider_quota_exceeded", "provider_not_initialize"]);

const outOfQuota = (): Failure =>
  failure("upstream_error", {
    message: "The app cannot answer right now",
    record: "upstream_quota_exceeded",
    class: "refused",
    elsewhere: true,
    // Nothing the caller repeats will mend it.
    shouldRetry: false,
  });

/** An error inside a stream or inside a 200 answer: the app failed. */
export function inBandFailure(value: unknown): Failure {
  const { code, message } = readSaid(value);
  if (code !== null && OPERATORS.has(code)) return outOfQuota();
  return failure("upstream_error", {
    message: message ? `The app failed: ${message}` : "The app failed",
    record: "upstream_error_event",
    class: "server",
    elsewhere: true,
  });
}

/** The run ended, and says of itself that it failed. Dify's clients are told so by Dify's own words. */
export const runFailed = (verbatim: Buffer): Failure =>
  failure("upstream_error", { message: "The workflow failed", record: "upstream_run_failed", class: "server", verbatim });

const PASSED = new Set([400, 404, 413, 415, 422]);

/** What Dify's error answer means for the client: its own mistake, the operator's problem, or a failure worth another try. */
export function readError(status: number, body: Buffer, retryAfter: number | undefined): Failure {
  let said: Said = { code: null, message: undefined };
  try {
    said = readSaid(JSON.parse(body.toString("utf8")));
  } catch {
    // Not JSON: a proxy's page, nothing for a stranger.
  }
  if (said.code !== null && OPERATORS.has(said.code)) return outOfQuota();
  if (PASSED.has(status)) {
    return failure(status === 404 ? "not_found" : "validation_failed", {
      status,
      message: said.message ?? "The app refused the request",
      record: "upstream_rejected",
      class: "rejected",
      vendor: { type: null, code: said.code ?? (status === 404 ? "not_found" : "invalid_param") },
    });
  }
  if (status === 429) {
    return failure("upstream_rate_limited", {
      record: "upstream_rate_limited",
      class: "rate_limited",
      retryAfter: retryAfter ?? 1,
      elsewhere: true,
    });
  }
  if (status === 408) return failure("upstream_timeout", { record: "upstream_timeout", class: "timeout", elsewhere: true });
  if (status >= 500) {
    return failure("upstream_error", { message: `The app answered ${status}`, record: "upstream_5xx", class: "server", elsewhere: true });
  }
  return failure("upstream_error", {
    message: "The app refused our request",
    record: "upstream_refused",
    class: "refused",
    shouldRetry: false,
  });
}

/** The texts in which Dify repeats what went wrong inside a run: they may name keys and addresses. True when something was taken out. */
export function withoutSecrets(fields: Record<string, unknown>): boolean {
  let changed = false;
  for (const holder of [fields, fields["data"]]) {
    if (!isObject(holder) || typeof holder["error"] !== "string") continue;
    const clean = sanitizeMessage(holder["error"]);
    changed ||= clean !== holder["error"];
    holder["error"] = clean;
  }
  return changed;
}
