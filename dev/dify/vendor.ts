import type { Vendor } from "../upstream/vendors.ts";

/** Dify's code for a status, where an endpoint names none. */
const CODES: Record<number, string> = {
  400: "invalid_param",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  413: "file_too_large",
  415: "unsupported_file_type",
  429: "too_many_requests",
};

/** Dify (https://docs.dify.ai): errors are `{code, message, status}`. */
export const dify: Vendor = {
  name: "dify",
  errorBody: (status, { message, code = null }) => ({ code: code ?? CODES[status] ?? "internal_server_error", message, status }),
  headers: (id) => ({
    "x-trace-id": id,
    "x-version": "1.9.2",
    "x-env": "PRODUCTION",
    "set-cookie": "session=demo; path=/; HttpOnly",
    server: "demo",
  }),
};
