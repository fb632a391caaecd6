import type { Attempt } from "../pipeline/attempt.ts";
import type { Failure } from "../pipeline/failure.ts";
import type { Candidate, ProviderKey } from "../providers/index.ts";
import type { CircuitState } from "./circuit.ts";

/** Where one request of a call goes. */
export interface Route {
  candidate: Candidate;
  key: ProviderKey;
  /** It tries whether a provider answers again. */
  trial: boolean;
}

/** What the router knows of a call. */
export interface Ask {
  /** Highest priority first. */
  candidates: readonly Candidate[];
  /** All requests so far. */
  tries: readonly Attempt[];
  /** The first of those of the present round; each provider is asked once in a round. */
  roundFrom: number;
  /** Hash of account and session; undefined for a call that belongs to none. */
  session: number | undefined;
  /** The same for the key alone, where that must not change with the conversation. */
  keySession?: number | undefined;
}

export type Choice =
  | { route: Route; none?: undefined }
  | {
      route?: undefined;
      none: {
        /** Milliseconds until one may be ready; undefined when none of them will be for this call. */
        inMs: number | undefined;
        /** A rate limit alone is in the way. */
        limited: boolean;
        /** It is being asked whether one may be tried. */
        asking: boolean;
      };
    };

/** What one copy knows of a provider; the same on all, but for calls and failures. */
export interface ProviderHealth {
  /** Of the provider as a whole; `degraded`: only some models or keys are out of use. */
  state: CircuitState | "degraded";
  retryInMs: number | null;
  circuits: { model: string | null; state: CircuitState; retryInMs: number | null; calls: number; failures: number }[];
  restingKeys: { fingerprint: string; model: string | null; reason: string; forMs: number }[];
}

/** Decides where each request of a call goes, from what is in memory; everything is synchronous. */
export interface Routing {
  /** A call begins. */
  begin(): void;
  /** The next provider and key of a call. It must then be used: it counts as a turn, and a trial as begun. */
  choose(ask: Ask, nowMs: number): Choice;
  /** The key with which a provider keeps an account's answers: every copy finds the same one while it is in use. */
  keeperOf(candidate: Candidate, accountId: string, nowMs: number): ProviderKey;
  /** The provider has begun to answer with content. */
  answered(route: Route): void;
  succeeded(route: Route, account: string, nowMs: number): void;
  /** The request failed; `seen` is what the provider said of it, and to whose call. */
  failed(
    route: Route,
    why: Failure,
    seen: { status: number | null; body: Buffer | undefined; retryAfterMs: number | undefined; again: boolean; account: string },
    nowMs: number,
  ): void;
  /** It was ended by us, so that nothing is known. */
  abandoned(route: Route): void;
  /**
   * Milliseconds to wait before the call is sent again after all of its providers have failed; undefined when it has failed for good.
   * `round` is the repeat, from 1. Takes from the allowance of repeats.
   */
  pause(ask: Ask, call: { round: number; firstSentMs: number }, nowMs: number): number | undefined;
  /** Calls back later; at once when the process begins to stop. Answers how to cancel. */
  later(ms: number, then: () => void): () => void;
  /** No more repeats: the process stops. */
  drain(): void;
  readonly draining: boolean;
  health(providerId: string): ProviderHealth;
  /** Everything about a provider is forgotten, on every copy. */
  reset(providerId: string): void;
  start(): void;
  stop(): void;
}
