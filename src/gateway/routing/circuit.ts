import { ENOUGH, Witnesses } from "./witnesses.ts";

/** How a circuit breaker decides; times in milliseconds. */
export interface CircuitConfig {
  /** False: nothing ever opens. */
  enabled: boolean;
  windowMs: number;
  /** Fewer calls than this decide nothing. */
  minCalls: number;
  /** Share of failures in the window from which it opens. */
  failurePercent: number;
  /** How long it stays open the first time; doubled with every trial that fails. */
  coolDownMs: number;
}

const BUCKETS = 10;
const MAX_COOL_DOWN_MS = 120_000;
/** Copies and providers must not all come back in the same moment. */
const JITTER = 0.2;

/**
 * - `closed`: calls pass and are counted
 * - `open`: no call passes before `retryMs`
 * - `half_open`: one call at a time is let through to try
 */
export type CircuitState = "closed" | "open" | "half_open";

/** Whose call failed, and what that says. */
export interface Evidence {
  account: string;
  /** A caller can bring it about alone, by what it asks. */
  ownDoing: boolean;
}

/**
 * One circuit breaker (Nygard, Release It!): it counts calls in a sliding window of buckets and opens when too many fail, or when the last
 * `minCalls` all failed, however long they took. One account's failures do not open it while others are answered, nor where they can be its
 * own doing: otherwise any customer could put a provider out of use for all. Knows nothing of other copies; they are told of its changes and tell theirs by
 * {@link Circuit.openFor} and {@link Circuit.close}. Times are `performance.now()`.
 */
export class Circuit {
  /** 0 while closed. */
  retryMs = 0;
  /** How often in a row it has opened without closing. */
  trips = 0;
  readonly #config: CircuitConfig;
  readonly #passed = new Uint32Array(BUCKETS);
  readonly #failed = new Uint32Array(BUCKETS);
  #bucket = -1;
  #streak = 0;
  /** Who failed since the last success, and in general; who was answered. */
  readonly #streaking = new Witnesses();
  readonly #failing = new Witnesses();
  readonly #answered = new Witnesses();

  constructor(config: CircuitConfig) {
    this.#config = config;
  }

  state(nowMs: number): CircuitState {
    return this.retryMs === 0 ? "closed" : nowMs < this.retryMs ? "open" : "half_open";
  }

  /** Counts a call that came to a good end. */
  passed(nowMs: number, account: string): void {
    if (this.#streak > 0) this.#streaking.clear();
    this.#streak = 0;
    this.#answered.note(account, nowMs);
    const slot = this.#slot(nowMs);
    this.#passed[slot]! += 1;
  }

  /** Counts a call that failed; true when that was one too many. The caller then opens it. */
  failed(nowMs: number, { account, ownDoing }: Evidence): boolean {
    const slot = this.#slot(nowMs);
    this.#failed[slot]! += 1;
    this.#streak += 1;
    this.#streaking.note(account, nowMs);
    this.#failing.note(account, nowMs);
    const { enabled, minCalls } = this.#config;
    if (!enabled || this.retryMs !== 0) return false;
    if (this.#streak >= minCalls && this.#believes(this.#streaking.since(-Infinity), ownDoing, nowMs)) return true;
    const { calls, failures } = this.counts(nowMs);
    if (calls < minCalls || failures * 100 < calls * this.#config.failurePercent) return false;
    return this.#believes(this.#failing.since(nowMs - this.#config.windowMs), ownDoing, nowMs);
  }

  #believes(failing: string[], ownDoing: boolean, nowMs: number): boolean {
    if (failing.length >= ENOUGH) return true;
    return !ownDoing && this.#answered.since(nowMs - this.#config.windowMs).every((account) => failing.includes(account));
  }

  /** What the window holds. */
  counts(nowMs: number): { calls: number; failures: number } {
    this.#slot(nowMs);
    let passed = 0;
    let failures = 0;
    for (let i = 0; i < BUCKETS; i++) {
      passed += this.#passed[i]!;
      failures += this.#failed[i]!;
    }
    return { calls: passed + failures, failures };
  }

  /** Milliseconds for which it should open now; `random` gives numbers in [0, 1). */
  coolDown(random: () => number): number {
    const plain = Math.min(MAX_COOL_DOWN_MS, this.#config.coolDownMs * 2 ** Math.min(this.trips, 20));
    return Math.max(1, Math.round(plain * (1 - JITTER + 2 * JITTER * random())));
  }

  openFor(ms: number, trips: number, nowMs: number): void {
    this.retryMs = nowMs + ms;
    this.trips = trips;
  }

  close(): void {
    this.retryMs = 0;
    this.trips = 0;
    this.#streak = 0;
    for (const witnesses of [this.#streaking, this.#failing, this.#answered]) witnesses.clear();
    this.#passed.fill(0);
    this.#failed.fill(0);
  }

  /** The bucket of this moment; those that have left the window are emptied. */
  #slot(nowMs: number): number {
    const bucket = Math.floor((nowMs * BUCKETS) / this.#config.windowMs);
    if (bucket !== this.#bucket) {
      const stale = Math.min(BUCKETS, bucket - this.#bucket);
      for (let i = 1; i <= stale; i++) {
        const slot = (this.#bucket + i + BUCKETS) % BUCKETS;
        this.#passed[slot] = 0;
        this.#failed[slot] = 0;
      }
      this.#bucket = bucket;
    }
    return bucket % BUCKETS;
  }
}
