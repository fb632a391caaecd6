/** How a vendor writes what is the same on all its routes. */
export interface Vendor {
  name: "openai" | "anthropic" | "dify";
  /** The body of an error. `code` is OpenAI's; null for the status's usual one. */
  errorBody(status: number, error: { message: string; param?: string | null; code?: string | null }, id: string): object;
  /** What it sends along and a relay must not pass on. */
  headers(id: string): Record<string, string>;
}

const OPENAI_TYPES: Record<number, [type: string, code: string | null]> = {
  401: ["invalid_request_error", "invalid_api_key"],
  402: ["insufficient_quota", "insufficient_quota"],
  403: ["permission_error", null],
  404: ["invalid_request_error", null],
  408: ["timeout", null],
  429: ["rate_limit_error", "rate_limit_exceeded"],
};

export const openai: Vendor = {
  name: "openai",
  errorBody(status, { message, param = null, code = null }) {
    const [type, usual] = OPENAI_TYPES[status] ?? [status >= 500 ? "server_error" : "invalid_request_error", null];
    return { error: { message, type, param, code: code ?? usual } };
  },
  headers: (id) => ({
    "x-request-id": id,
    "openai-organization": "demo-organization",
    "openai-processing-ms": "3",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "9999",
    "x-ratelimit-remaining-requests": "9998",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-tokens": "1999000",
    "x-ratelimit-reset-tokens": "30ms",
    "set-cookie": "__cf_bm=demo; path=/; HttpOnly",
    "cf-ray": "0123456789abcdef-DEM",
    server: "demo",
  }),
};

const ANTHROPIC_TYPES: Record<number, string> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

export const anthropic: Vendor = {
  name: "anthropic",
  errorBody(status, { message }, id) {
    const type = ANTHROPIC_TYPES[status] ?? (status >= 500 ? "api_error" : "invalid_request_error");
    return { type: "error", error: { type, message }, request_id: id };
  },
  headers: (id) => ({
    "request-id": id,
    "anthropic-organization-id": "00000000-0000-4000-8000-000000000001",
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
    "anthropic-ratelimit-tokens-limit": "480000",
    "anthropic-ratelimit-tokens-remaining": "479000",
    "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
    "set-cookie": "_cfuvid=demo; path=/; HttpOnly",
    "cf-ray": "0123456789abcdef-DEM",
    server: "demo",
  }),
};
