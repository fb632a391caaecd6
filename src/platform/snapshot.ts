import type { Invalidation, Topic } from "./invalidation.ts";

/** A small table kept in memory as a whole. */
export interface Snapshot<T> {
  /** The present value without a query, or undefined when it must be read first. */
  peek(): T | undefined;
  /** The present value. Rejects when it must be read and Postgres cannot be reached. */
  get(): Promise<T>;
  /** Forgets what is kept. For the copy that made a change: it need not wait for its own announcement to come round. */
  drop(): void;
}

/**
 * Keeps what `load` reads until one of `topics` is announced; while announcements may be missed (`!invalidation.fresh`) every `get`
 * reads anew. At most one read runs at a time: callers who come while one runs share the next one, which begins after they asked and
 * so cannot be older than their question.
 */
export function createSnapshot<T>(options: {
  invalidation: Invalidation;
  topics: Topic[];
  maxAgeMs: number;
  load: () => Promise<T>;
}): Snapshot<T> {
  const { invalidation, maxAgeMs, load } = options;
  let kept: { value: T; until: number } | undefined;
  let changes = 0;
  let running: Promise<T> | undefined;
  let next: Promise<T> | undefined;

  function drop(): void {
    kept = undefined;
    changes += 1;
  }
  for (const topic of options.topics) invalidation.on(topic, drop);

  function run(): Promise<T> {
    const before = changes;
    const started = load().then((value) => {
      // A change announced while we were reading may not be in what we read.
      if (before === changes && invalidation.fresh) kept = { value, until: Date.now() + maxAgeMs };
      return value;
    });
    const settled = started.finally(() => {
      if (running === settled) running = undefined;
    });
    running = settled;
    return settled;
  }

  function reload(): Promise<T> {
    if (!running) return run();
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return run();
      });
    return next;
  }

  const peek = () => (kept && invalidation.fresh && kept.until > Date.now() ? kept.value : undefined);
  return {
    peek,
    drop,
    get() {
      const value = peek();
      return value === undefined ? reload() : Promise.resolve(value);
    },
  };
}
