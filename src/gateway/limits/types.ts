/** Whose limit it is. */
export type Scope = "user" | "key" | "token" | "ip" | "model" | "global";

/** What is limited: requests a minute, requests a second, weighted tokens a minute, calls at once. */
export type Kind = "requests" | "requests_per_second" | "tokens" | "parallel";

/** One limit a call is held against. */
export interface Check {
  scope: Scope;
  kind: Kind;
  /** Names the counter: its key in Redis, and here. */
  id: string;
  limit: number;
  /** Of the sliding window; 0 for calls at once. */
  lengthMs: number;
  /** Only looked at: it never refuses. */
  shadow: boolean;
}

/** Everything one kind of caller is held against, ready for use: rates first, calls at once last. Shared between calls. */
export interface Plan {
  checks: readonly Check[];
  /** One letter for each check, see script.ts. */
  shape: string;
  /** How many of the checks are rates. */
  rates: number;
  /** The smallest limit on tokens that is enforced; undefined when tokens are not limited. */
  mostTokens: number | undefined;
  /** Whether any check, enforced or not, is about tokens. */
  countsTokens: boolean;
}

/** One call that asks for leave. */
export interface Ask {
  plan: Plan;
  callId: string;
  /** Weighted tokens it may use, prompt and answer together. */
  tokens: number;
  /** What a token of its model counts, in percent. */
  weightPercent: number;
}

/** What `x-ratelimit-*` headers say. */
export interface Figures {
  limit: number;
  remaining: number;
  resetMs: number;
}

/** Tokens that were counted before they were used. */
export interface Reservation {
  id: string;
  /** Start of the window they were counted in. */
  fromMs: number;
  /** Weighted tokens counted so far. */
  counted: number;
}

/** Leave to run one call. It is a lease: the limiter renews it, and a copy that dies stops renewing. */
export interface Permit {
  id: string;
  /** The counters of calls at once it stands in. */
  sets: readonly string[];
  reserved: readonly Reservation[];
  weightPercent: number;
}

export interface Refusal {
  allowed: false;
  scope: Scope;
  kind: Kind;
  /** The counter that refuses. */
  counter: string;
  limit: number;
  /** Until it may be asked again; Infinity when that would never help. */
  retryMs: number;
}

/** The tightest figures of each kind, when there are any. */
interface Rates {
  requests: Figures | undefined;
  tokens: Figures | undefined;
}

export type LimitVerdict = ({ allowed: true; permit: Permit | undefined } & Rates) | (Refusal & Rates);

export interface Limiter {
  /** Counts one request, reserves its tokens and takes a permit to run; all in one round trip, all or nothing. Never rejects. */
  admit(ask: Ask): Promise<LimitVerdict>;
  /**
   * Ends a permit, at the latest at the end of this turn of the event loop and ahead of anything asked later, and counts `tokens` (not
   * weighted) in place of what was reserved. Asked again it only corrects the tokens.
   */
  release(permit: Permit, tokens: number): void;
  /** Called by the shared ticker while calls run: renews their permits. */
  tick(nowMs: number): void;
  /** Resolves when Redis can be used, or has not been found in a second. */
  ready: Promise<void>;
  /** True while Redis does not count. */
  readonly away: boolean;
  /** No more attempts to find Redis again, and out of the list of copies. */
  stop(): Promise<void>;
}
