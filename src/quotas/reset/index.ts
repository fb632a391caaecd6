import type { Ledger } from "../../ledger/index.ts";
import { systemClock, type Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";
import { writeBatch, type CallBooks } from "../statements/write.ts";
import { adjustBatch } from "./adjust.ts";
import { openBatch } from "./open.ts";
import { createPace } from "./pace.ts";

/** What a step did; `more` when it stopped before all was done. Amounts are micro-credits as text, for workflows carry no bigint. */
export interface OpenResult {
  subscriptions: number;
  periods: number;
  granted: string;
  more: boolean;
}

export interface StateResult {
  written: number;
  putOff: number;
  more: boolean;
}

export interface StepOptions {
  /** Told what has been done so far. */
  onProgress?: (done: number) => void;
  /** Ends the step after the batch that runs. */
  signal?: AbortSignal;
}

export interface QuotaReset {
  /** Opens every period that has begun, and brings open ones up to a plan that was changed with effect at once. */
  openPeriods(options?: StepOptions): Promise<OpenResult>;
  /** Writes every statement that can be written. */
  writeStatements(options?: StepOptions): Promise<StateResult>;
}

/** A call waits for a batch that has its wallet locked: for less than the 20 ms that are bearable, as some batches take longer than the last. */
const LOCKED_MS = 15;
const BATCH_MAX = 500;
/** Statements lock no wallet. */
const STATEMENT_BATCH = 200;
/** A step ends by itself after this long; the workflow begins another. */
const STEP_MS = 30_000;
/** Longer than a request may take to reach its hold. */
const GRACE_MS = 600_000;

/** Whether a step is to end: its time is over, or its worker stops. */
export function stopAfter(ms: number, signal: AbortSignal | undefined): () => boolean {
  const until = performance.now() + ms;
  return () => performance.now() >= until || signal?.aborted === true;
}

/** The steps of a reset; each in batches of one transaction, idempotent by period, safe with any number of others at the same time. */
export function createQuotaReset(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "creditMany" | "expireWallets" | "walletStates" | "turnoverAfter" | "turnoverSince" | "holdingSince">;
  calls: CallBooks;
  log: Logger;
  clock?: Clock;
  graceMs?: number;
}): QuotaReset {
  const { pool, ledger, calls, log, clock = systemClock, graceMs = GRACE_MS } = deps;

  return {
    async openPeriods({ onProgress, signal } = {}) {
      const stopped = stopAfter(STEP_MS, signal);
      const pace = createPace({ targetMs: LOCKED_MS, most: BATCH_MAX });
      const done = { subscriptions: 0, periods: 0, granted: 0n };
      let more = true;
      while (more && !stopped()) {
        const now = clock.now();
        const opened = await pace((batch) => openBatch({ pool, ledger, graceMs }, now, batch));
        const adjusted =
          opened.subscriptions === 0 ? await pace((batch) => adjustBatch({ pool, ledger }, now, batch)) : { periods: 0, granted: 0n };
        done.subscriptions += opened.subscriptions;
        done.periods += opened.periods;
        done.granted += opened.granted + adjusted.granted;
        more = opened.subscriptions > 0 || adjusted.periods > 0;
        onProgress?.(done.subscriptions);
      }
      if (done.periods > 0) log.info({ subscriptions: done.subscriptions, periods: done.periods }, "periods were opened");
      return { ...done, granted: done.granted.toString(), more };
    },

    async writeStatements({ onProgress, signal } = {}) {
      const stopped = stopAfter(STEP_MS, signal);
      const done = { written: 0, putOff: 0 };
      let more = true;
      while (more && !stopped()) {
        const { written, putOff, expired } = await writeBatch({ pool, ledger, calls, graceMs }, clock.now(), STATEMENT_BATCH);
        done.written += written;
        done.putOff += putOff;
        more = written + putOff + expired > 0;
        onProgress?.(done.written);
      }
      return { ...done, more };
    },
  };
}
