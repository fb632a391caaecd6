import { failure, type Failure } from "./failure.ts";

/** Clients that obey a longer wait are not known; operators have to act. */
const LONG_MS = 60_000;

/** Nobody may be asked now: at once, so that a broken provider costs no time. */
export function unavailable({ inMs, limited }: { inMs: number | undefined; limited: boolean }): Failure {
  const retryAfter = inMs === undefined ? 5 : inMs / 1_000;
  if (limited) return failure("upstream_rate_limited", { record: "provider_keys_resting", class: "rate_limited", retryAfter });
  return failure("no_provider", { class: "server", retryAfter, ...(inMs !== undefined && inMs > LONG_MS ? { shouldRetry: false } : {}) });
}
