import { failure, type Failure } from "../pipeline/failure.ts";

/** No connection came about, so nothing was sent. */
const UNREACHED: ReadonlySet<unknown> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/** Nothing but a cut connection is known of these; what the system calls it stays in our log. */
export function connectionFailure(error: Error, begun: boolean): Failure {
  const code = (error as { code?: unknown }).code;
  if (code === "UND_ERR_CONNECT_TIMEOUT") {
    return failure("upstream_timeout", {
      message: "The provider could not be reached in time",
      record: "upstream_connect_timeout",
      class: "timeout",
      elsewhere: true,
      unsent: true,
    });
  }
  if (code === "UND_ERR_HEADERS_OVERFLOW") {
    return failure("upstream_error", {
      message: "The provider's answer is malformed",
      record: "upstream_malformed",
      class: "malformed",
      elsewhere: true,
    });
  }
  return begun
    ? failure("upstream_error", {
        message: "The provider's stream broke off",
        record: "upstream_closed",
        class: "network",
        elsewhere: true,
      })
    : failure("upstream_error", {
        message: "The provider could not be reached",
        record: "upstream_network",
        class: "network",
        elsewhere: true,
        ...(UNREACHED.has(code) ? { unsent: true as const } : {}),
      });
}

/** The three times a provider may take too long. */
export const timeouts = {
  firstByte: () =>
    failure("upstream_timeout", {
      message: "The provider did not begin to answer in time",
      record: "upstream_first_byte_timeout",
      class: "timeout",
    }),
  idle: () => failure("upstream_timeout", { message: "The provider fell silent", record: "upstream_idle_timeout", class: "timeout" }),
  total: () => failure("upstream_timeout", { message: "The answer took too long", record: "upstream_total_timeout", class: "timeout" }),
};
