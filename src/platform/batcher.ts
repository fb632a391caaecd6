/** Collects items from many callers and hands them on in batches. */
export interface Batcher<Item, Answer> {
  /** Resolves with this item's answer; rejects when its batch failed. */
  add(item: Item): Promise<Answer>;
  /** Items waiting or in flight. */
  readonly size: number;
  /** Resolves when nothing is waiting or in flight. */
  idle(): Promise<void>;
}

interface Waiting<Item, Answer> {
  item: Item;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

/**
 * Group commit: whatever has accumulated goes as one batch as soon as a lane is free, so that an idle system adds one round
 * trip and a busy one shares it. `run` must return one answer per item, in order. `lanes` batches may be under way at once.
 */
export function createBatcher<Item, Answer>(options: {
  run: (items: Item[]) => Promise<Answer[]>;
  maxBatch?: number;
  lanes?: number;
  /** Where a batch costs much however few items it has: two begin at least so far apart, in milliseconds. An idle system waits for nothing. */
  spacingMs?: number;
  /** Told of every batch that was answered: how many items it had and how many seconds it took. */
  onBatch?: (items: number, seconds: number) => void;
}): Batcher<Item, Answer> {
  const { run, maxBatch = 1_000, lanes = 1, spacingMs = 0, onBatch } = options;
  let queue: Waiting<Item, Answer>[] = [];
  let running = 0;
  let inFlight = 0;
  let scheduled = false;
  let begunAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let idleWaiters: (() => void)[] = [];

  async function work(batch: Waiting<Item, Answer>[]): Promise<void> {
    const began = performance.now();
    try {
      const answers = await run(batch.map((waiting) => waiting.item));
      if (answers.length !== batch.length) throw new Error(`batch of ${batch.length} got ${answers.length} answers`);
      onBatch?.(batch.length, (performance.now() - began) / 1_000);
      for (let i = 0; i < batch.length; i++) batch[i]!.resolve(answers[i]!);
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
    running -= 1;
    inFlight -= batch.length;
    pump();
    if (inFlight === 0 && queue.length === 0) {
      for (const waiter of idleWaiters) waiter();
      idleWaiters = [];
    }
  }

  function pump(): void {
    scheduled = false;
    while (running < lanes && queue.length > 0) {
      const rest = begunAt + spacingMs - performance.now();
      if (spacingMs > 0 && rest > 0 && queue.length < maxBatch) {
        timer ??= setTimeout(() => {
          timer = undefined;
          pump();
        }, rest);
        return;
      }
      begunAt = performance.now();
      const batch = queue.length <= maxBatch ? queue : queue.slice(0, maxBatch);
      queue = queue.length <= maxBatch ? [] : queue.slice(maxBatch);
      running += 1;
      inFlight += batch.length;
      void work(batch);
    }
  }

  return {
    add(item) {
      return new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        // One turn of the event loop gathers everything that arrived in the same read from the sockets.
        if (!scheduled && timer === undefined && running < lanes) {
          scheduled = true;
          setImmediate(pump);
        }
      });
    },
    get size() {
      return inFlight + queue.length;
    },
    idle() {
      if (inFlight === 0 && queue.length === 0) return Promise.resolve();
      return new Promise((resolve) => idleWaiters.push(resolve));
    },
  };
}
