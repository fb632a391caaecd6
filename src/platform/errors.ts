/** Every error code a client can meet, with its HTTP status and the sentence used when a thrower gives none. */
export const ERROR_CODES = {
  validation_failed: { status: 400, message: "The request is not valid" },
  unauthenticated: { status: 401, message: "Sign in or send a valid API key" },
  invalid_signature: { status: 401, message: "The signature is missing or wrong" },
  request_expired: { status: 401, message: "The request's time is too far from now" },
  invalid_credentials: { status: 401, message: "Wrong name or password" },
  invalid_code: { status: 400, message: "The code is wrong or has expired" },
  invalid_token: { status: 400, message: "The link is wrong, used or has expired" },
  invalid_refresh_token: { status: 401, message: "The refresh token is not valid" },
  content_refused: { status: 400, message: "This is not allowed here" },
  insufficient_balance: { status: 402, message: "The wallet does not cover this" },
  forbidden: { status: 403, message: "You may not do this" },
  email_not_verified: { status: 403, message: "Verify your e-mail address first" },
  account_suspended: { status: 403, message: "This account is suspended" },
  storage_full: { status: 403, message: "The account may not store more" },
  not_eligible: { status: 403, message: "This is not for you" },
  model_not_allowed: { status: 403, message: "This key may not use this model" },
  not_found: { status: 404, message: "There is no such thing" },
  user_not_found: { status: 404, message: "There is no such user" },
  model_not_found: { status: 404, message: "There is no such model" },
  method_not_allowed: { status: 405, message: "This method is not allowed here" },
  conflict: { status: 409, message: "This conflicts with what is there" },
  already_checked_in: { status: 409, message: "The day is checked in already" },
  already_claimed: { status: 409, message: "You have claimed this as often as one may" },
  campaign_closed: { status: 409, message: "This campaign is not running, or its budget is spent" },
  upload_incomplete: { status: 409, message: "Parts of the upload have not arrived" },
  upload_mismatch: { status: 409, message: "What was uploaded is not what was declared" },
  invalid_state: { status: 409, message: "The present state does not allow this" },
  idempotency_mismatch: { status: 409, message: "This Idempotency-Key was used with another request" },
  payload_too_large: { status: 413, message: "The request is too large" },
  unsupported_media_type: { status: 415, message: "Send JSON" },
  upgrade_required: { status: 426, message: "Open a WebSocket here" },
  rate_limited: { status: 429, message: "Too many requests" },
  too_many_attempts: { status: 429, message: "Too many attempts" },
  balance_on_hold: { status: 429, message: "The wallet's credit is held by running calls" },
  spend_limit_reached: { status: 429, message: "A spend limit is reached" },
  spend_limit_on_hold: { status: 429, message: "What a spend limit leaves is held by running calls" },
  quota_exceeded: { status: 429, message: "A quota is used up" },
  quota_on_hold: { status: 429, message: "What a quota leaves is held by running calls" },
  upstream_rate_limited: { status: 429, message: "The provider is busy" },
  internal_error: { status: 500, message: "Something went wrong on our side" },
  upstream_error: { status: 502, message: "The provider failed" },
  unavailable: { status: 503, message: "This is not available right now" },
  model_not_priced: { status: 503, message: "This model has no price" },
  no_provider: { status: 503, message: "No provider serves this model right now" },
  upstream_timeout: { status: 504, message: "The provider did not answer in time" },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One field of the input that was refused; `field` is a dotted path such as `limits.max_parallel`. */
export interface FieldProblem {
  field: string;
  message: string;
}

/** The only error type that carries a meaning for clients; everything else is a 500. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: unknown;
  /** Seconds for the `retry-after` header, when waiting helps. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, options: { message?: string; details?: unknown; retryAfter?: number; cause?: unknown } = {}) {
    super(options.message ?? ERROR_CODES[code].message, { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.status = ERROR_CODES[code].status;
    this.details = options.details;
    this.retryAfter = options.retryAfter;
  }
}

/** Makes an {@link AppError}; the status comes from the table above. */
export function appError(
  code: ErrorCode,
  options: { message?: string; details?: unknown; retryAfter?: number; cause?: unknown } = {},
): AppError {
  return new AppError(code, options);
}

/** A 400 that names one field. */
export function fieldError(field: string, message: string): AppError {
  return new AppError("validation_failed", { message: `${field}: ${message}`, details: [{ field, message }] });
}
