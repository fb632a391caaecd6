/** When a call whose providers have all failed is sent again; times in milliseconds. */
export interface RetryConfig {
  /** Requests to providers one call may make, but each provider is asked once in any case. */
  maxAttempts: number;
  baseMs: number;
  capMs: number;
  /** From the first request on; no new round begins later. */
  withinMs: number;
  /** Rounds beyond the first, in percent of the calls. */
  percent: number;
}

/** Pause before a round, the first repeat being 1: exponential with full jitter (Brooker 2015, "Exponential Backoff And Jitter"). */
export function pauseBefore(round: number, config: Pick<RetryConfig, "baseMs" | "capMs">, random: () => number): number {
  return random() * Math.min(config.capMs, config.baseMs * 2 ** Math.min(round - 1, 30));
}

/** Most repeats that can be saved up. */
const SAVED = 50;
/** A quiet copy may repeat this many calls at once, and one more each second. */
const QUIET = 10;

/** Keeps repeats a share of the calls, so that a provider in trouble is not met by several times its usual load. */
export class RetryAllowance {
  readonly #share: number;
  #tokens = QUIET;
  #filledMs: number;

  constructor(percent: number, nowMs: number) {
    this.#share = percent / 100;
    this.#filledMs = nowMs;
  }

  /** A call began. */
  earn(): void {
    this.#tokens = Math.min(SAVED, this.#tokens + this.#share);
  }

  /** Takes one repeat; false when there is none left. */
  spend(nowMs: number): boolean {
    if (this.#share === 0) return false;
    if (this.#tokens < QUIET) this.#tokens = Math.min(QUIET, this.#tokens + (nowMs - this.#filledMs) / 1_000);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
