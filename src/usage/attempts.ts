import type { TokenClasses } from "../pricing/index.ts";

/** One request to a provider, as the relay saw it end. */
export interface UpstreamAttempt {
  providerId: string;
  provider: string;
  upstreamModel: string;
  /** Which of the provider's keys: its fingerprint, never the key. */
  key?: string | null;
  /** `gone`: the client left while it ran. */
  status: "ok" | "failed" | "gone";
  httpStatus?: number | null;
  errorCode?: string | null;
  errorClass?: string | null;
  /** The provider's own words of it. */
  said?: string | null;
  /** Milliseconds from the call's beginning to the request. */
  startedMs: number;
  /** Milliseconds from the request to the first byte; null when none came. */
  firstByteMs: number | null;
  durationMs: number;
  /** What the provider is taken to bill, where that differs from what the call is charged for. */
  tokens?: TokenClasses;
  /** Millionths of `currency`; null when the provider's prices are not known. An estimate unless the attempt is `ok`. */
  cost: bigint | null;
  currency: string | null;
}

/** An attempt as it is kept: what is not known is left out. */
export function attemptJson(attempt: UpstreamAttempt): object {
  return {
    provider_id: attempt.providerId,
    provider: attempt.provider,
    upstream_model: attempt.upstreamModel,
    key: attempt.key ?? undefined,
    status: attempt.status,
    http_status: attempt.httpStatus ?? undefined,
    error_code: attempt.errorCode ?? undefined,
    error_class: attempt.errorClass ?? undefined,
    said: attempt.said ?? undefined,
    started_ms: Math.round(attempt.startedMs),
    first_byte_ms: attempt.firstByteMs === null ? undefined : Math.round(attempt.firstByteMs),
    duration_ms: Math.round(attempt.durationMs),
    tokens: attempt.tokens && {
      input: attempt.tokens.input,
      cached_input: attempt.tokens.cachedInput || undefined,
      cache_write: attempt.tokens.cacheWrite || undefined,
      cache_write_long: attempt.tokens.cacheWriteLong || undefined,
      output: attempt.tokens.output,
      reasoning: attempt.tokens.reasoning || undefined,
    },
    cost: attempt.cost?.toString(),
    currency: attempt.cost === null ? undefined : (attempt.currency ?? undefined),
  };
}

/** What all attempts of a call cost together; undefined when one's cost is not known, or they are in several currencies. */
export function upstreamTotal(attempts: readonly UpstreamAttempt[]): { cost: bigint; currency: string } | undefined {
  let total = 0n;
  let currency: string | null = null;
  for (const attempt of attempts) {
    if (attempt.cost === null || attempt.currency === null) return undefined;
    if (currency !== null && currency !== attempt.currency) return undefined;
    currency = attempt.currency;
    total += attempt.cost;
  }
  return currency === null ? undefined : { cost: total, currency };
}
