/** Limits of one caller; undefined means none. */
export interface CallLimits {
  userId: string;
  keyId: string;
  userPerMinute: number | undefined;
  keyPerMinute: number | undefined;
  userParallel: number | undefined;
  keyParallel: number | undefined;
}

/** The figures for the `x-ratelimit-*-requests` headers: those of the tighter of the two limits. */
export interface RateFigures {
  limit: number;
  remaining: number;
  resetMs: number;
}

/** Leave to run one call. It is a lease: the registry renews it, and a copy that dies stops renewing. */
export interface Permit {
  id: string;
  userId: string;
  keyId: string;
  userLimited: boolean;
  keyLimited: boolean;
}

export type LimitVerdict =
  | { allowed: true; rate: RateFigures | undefined; permit: Permit | undefined }
  | { allowed: false; reason: "rate" | "parallel"; scope: "user" | "key"; rate: RateFigures | undefined; retryMs: number };

export interface Limiter {
  /** Counts one request and, with a `callId`, takes a permit to run; all in one round trip, all or nothing. Never rejects. */
  admit(limits: CallLimits, callId: string | undefined): Promise<LimitVerdict>;
  /** Sends the permit back, at the latest at the end of this turn of the event loop and ahead of anything asked later. */
  release(permit: Permit): void;
  /** Renews the permits of live calls. */
  renew(permits: Permit[]): void;
  /** Called by the shared ticker; decides locally what Redis has left unanswered for too long. */
  tick(nowMs: number): void;
}

/** A permit that is not renewed for this long returns by itself. */
export const LEASE_MS = 25_000;
/** Live calls renew this often. */
export const RENEW_MS = 8_000;
/** After this long without an answer the local limiter decides. */
export const SLOW_MS = 200;
/** How long to stay local after Redis was slow or failed, before it is asked again. */
export const REST_MS = 1_000;
