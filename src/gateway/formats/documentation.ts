import type { z } from "zod";
import { rawRoute, type RawRoute, type Route } from "../../http/route.ts";
import type { ErrorCode } from "../../platform/errors.ts";

/** What any call that is relayed and charged may be answered. */
const ERRORS: ErrorCode[] = [
  "insufficient_balance",
  "email_not_verified",
  "account_suspended",
  "forbidden",
  "model_not_allowed",
  "model_not_found",
  "rate_limited",
  "balance_on_hold",
  "spend_limit_reached",
  "spend_limit_on_hold",
  "quota_exceeded",
  "quota_on_hold",
  "upstream_rate_limited",
  "upstream_error",
  "upstream_timeout",
  "model_not_priced",
  "no_provider",
  "unsupported_media_type",
];

/** Served by the relay's own lookup, never by Express. */
export const servedByRelay = (): never => {
  throw new Error("served by the relay");
};

/** A relayed route for the API document. */
export function relayedRoute(
  route: Pick<RawRoute, "path" | "summary" | "description" | "consumes" | "produces" | "alias"> & {
    body: z.ZodType;
    answer: z.ZodType | undefined;
  },
): Route {
  const { answer, ...rest } = route;
  return rawRoute({
    method: "post",
    tag: "Relay",
    access: "api_key",
    responses: { 200: answer },
    errors: ERRORS,
    handler: servedByRelay,
    ...rest,
  });
}
