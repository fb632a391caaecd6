import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../platform/logger.ts";
import type { ActivityMetrics } from "./metrics.ts";

/** Events of one sink between whoever tells them and whatever writes them. */
export interface EventBuffer<T> {
  /** Keeps it if there is room. */
  push(item: T): void;
  /** What waits, and what is being written. */
  readonly size: number;
  /** Writes what is waiting for `graceMs` at most; nothing is taken after that. */
  stop(graceMs: number): Promise<void>;
}

export interface BufferOptions<T> {
  /** Of the sink, for metrics and log lines. */
  name: string;
  /** Most that is kept at once; what comes beyond that is dropped. */
  limit: number;
  /** Writes are this far apart at least, and nothing waits longer for its write to begin while writing works. */
  everyMs: number;
  /** Most that is given to one `write`. */
  maxBatch?: number;
  /** Writes these, in order. Rejects when none of them could be written; resolves with how many could not, and why. */
  write: (batch: T[]) => Promise<{ lost: number; error?: unknown } | void>;
  /** Tries a batch that could not be written again and again, instead of giving it up. */
  retries: boolean;
  metrics: ActivityMetrics;
  log: Logger;
}

const LONGEST_PAUSE_MS = 5_000;
/** Between tries when the process stops. */
const LAST_PAUSE_MS = 50;

/**
 * A bounded buffer with one writer. Nobody who pushes ever waits: while the other side is slow or away the buffer fills, and when it is full
 * what comes is dropped and counted. It is said in the log when writing begins to fail and when it works again, not each time.
 */
export function createEventBuffer<T>(options: BufferOptions<T>): EventBuffer<T> {
  const { name, limit, everyMs, maxBatch = limit, write, retries, metrics, log } = options;
  let waiting: T[] = [];
  let writing: T[] = [];
  let timer: NodeJS.Timeout | undefined;
  let run: Promise<void> | undefined;
  let failures = 0;
  let stopped = false;
  let overflowing = false;

  const size = (): number => waiting.length + writing.length;
  metrics.watch(name, size);

  function schedule(): void {
    if (timer || run || stopped) return;
    // What is given up is no reason to wait longer for the next.
    const pauseMs = failures === 0 || !retries ? everyMs : Math.min(everyMs * 2 ** Math.min(failures, 10), LONGEST_PAUSE_MS);
    timer = setTimeout(() => {
      timer = undefined;
      run = writeOnce().finally(() => {
        run = undefined;
        if (waiting.length > 0) schedule();
      });
    }, pauseMs);
    timer.unref();
  }

  async function writeOnce(): Promise<void> {
    writing = waiting.length <= maxBatch ? waiting : waiting.slice(0, maxBatch);
    waiting = waiting.length <= maxBatch ? [] : waiting.slice(maxBatch);
    const batch = writing;
    try {
      const { lost, error } = (await write(batch)) ?? { lost: 0 };
      metrics.written(name, batch.length - lost);
      if (lost > 0) failed(error, lost);
      else worked();
    } catch (error) {
      if (retries) waiting = waiting.length === 0 ? batch : [...batch, ...waiting];
      failed(error, retries ? 0 : batch.length);
    }
    writing = [];
  }

  function failed(error: unknown, lost: number): void {
    if (failures === 0) log.warn({ err: error, sink: name }, "events cannot be written");
    failures += 1;
    if (lost > 0) metrics.dropped(name, "failed", lost);
  }

  function worked(): void {
    if (failures > 0) log.info({ sink: name }, "events are written again");
    failures = 0;
    overflowing = false;
  }

  return {
    push(item) {
      if (stopped) return metrics.dropped(name, "stopped", 1);
      if (size() >= limit) {
        if (!overflowing) log.warn({ sink: name, limit }, "events come faster than they can be written and are dropped");
        overflowing = true;
        return metrics.dropped(name, "full", 1);
      }
      waiting.push(item);
      schedule();
    },
    get size() {
      return size();
    },
    async stop(graceMs) {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
      const until = performance.now() + graceMs;
      const over = new AbortController();
      const rest = async (): Promise<void> => {
        await run;
        while (waiting.length > 0 && performance.now() < until) {
          await writeOnce();
          if (failures > 0) await delay(LAST_PAUSE_MS);
        }
      };
      await Promise.race([rest(), delay(graceMs, undefined, { signal: over.signal }).catch(() => undefined)]);
      over.abort();
      if (size() > 0) metrics.dropped(name, "stopped", size());
    },
  };
}
