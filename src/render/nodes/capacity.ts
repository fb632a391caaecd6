/** What one render node can do at once: slots and memory, shared by all of its queues. */

/** Leave to ask a queue for work, and then to do it. */
export interface Permit {
  readonly queue: string;
  used: boolean;
}

export interface Capacity {
  readonly slots: number;
  /** Frames under way, and what they may use. */
  readonly frames: number;
  readonly memoryUsedMb: number;
  /** No new frames begin while it is true; those under way run to their end. */
  draining: boolean;
  /** Resolves when the node may ask that queue for work. Rejects with the signal's reason. */
  reserve(queue: string, signal: AbortSignal): Promise<Permit>;
  tryReserve(queue: string): Permit | undefined;
  /** Work has come for a permit. */
  use(permit: Permit): void;
  release(permit: Permit): void;
  /**
   * Takes a frame in, in the order of arrival, as soon as there is a slot and memory for it; the answer ends it. Undefined when another node
   * should have it. A frame that lacks memory alone keeps its place until smaller ones before it are done, else it might never be next.
   */
  enter(memoryMb: number, signal: AbortSignal): Promise<(() => void) | undefined>;
}

interface Waiting {
  memoryMb: number;
  admit(): void;
  refuse(): void;
}

/** How long a frame waits for a slot before it goes back: quick frames end by then, and slow ones are better off on another node. */
const PATIENCE_MS = 3_000;

/**
 * Polls of several queues are open at the same time, so more work may come than there are slots; what is too much waits a moment in line,
 * then goes back. While it waits no queue is asked.
 */
export function createCapacity(options: { slots: number; memoryMb: number; patienceMs?: number }): Capacity {
  const { slots, memoryMb: memory, patienceMs = PATIENCE_MS } = options;
  const asking = new Map<string, number>();
  const askers: { queue: string; grant: (permit: Permit) => void }[] = [];
  const line: Waiting[] = [];
  let busy = 0;
  let frames = 0;
  let memoryUsedMb = 0;
  let draining = false;

  const count = (queue: string, by: number) => asking.set(queue, (asking.get(queue) ?? 0) + by);
  const mayAsk = (queue: string) => !draining && line.length === 0 && busy + (asking.get(queue) ?? 0) < slots;
  const fits = (needMb: number) => frames < slots && (frames === 0 || memoryUsedMb + needMb <= memory);

  function give(queue: string): Permit {
    count(queue, 1);
    return { queue, used: false };
  }

  /** Something has become free, or is wanted no more. */
  function turn(): void {
    while (line[0] && fits(line[0].memoryMb)) line.shift()!.admit();
    for (let i = 0; i < askers.length;) {
      const { queue, grant } = askers[i]!;
      if (!mayAsk(queue)) i += 1;
      else {
        askers.splice(i, 1);
        grant(give(queue));
      }
    }
  }

  function take(needMb: number): () => void {
    frames += 1;
    memoryUsedMb += needMb;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      frames -= 1;
      memoryUsedMb -= needMb;
      turn();
    };
  }

  return {
    slots,
    get frames() {
      return frames;
    },
    get memoryUsedMb() {
      return memoryUsedMb;
    },
    get draining() {
      return draining;
    },
    set draining(wanted) {
      if (wanted === draining) return;
      draining = wanted;
      if (draining) for (const { refuse } of line.splice(0)) refuse();
      turn();
    },
    reserve(queue, signal) {
      if (mayAsk(queue)) return Promise.resolve(give(queue));
      return new Promise((resolve, reject) => {
        const asker = { queue, grant };
        const abort = () => {
          askers.splice(askers.indexOf(asker), 1);
          reject(signal.reason as Error);
        };
        function grant(permit: Permit): void {
          signal.removeEventListener("abort", abort);
          resolve(permit);
        }
        if (signal.aborted) return reject(signal.reason as Error);
        askers.push(asker);
        signal.addEventListener("abort", abort, { once: true });
      });
    },
    tryReserve: (queue) => (mayAsk(queue) ? give(queue) : undefined),
    use(permit) {
      permit.used = true;
      count(permit.queue, -1);
      busy += 1;
    },
    release(permit) {
      if (permit.used) busy -= 1;
      else count(permit.queue, -1);
      turn();
    },
    enter(needMb, signal) {
      if (draining || signal.aborted) return Promise.resolve(undefined);
      if (line.length === 0 && fits(needMb)) return Promise.resolve(take(needMb));
      return new Promise((resolve) => {
        const waiting: Waiting = { memoryMb: needMb, admit: () => finish(take(needMb)), refuse: () => finish(undefined) };
        const leave = () => {
          const at = line.indexOf(waiting);
          if (at >= 0) line.splice(at, 1);
          waiting.refuse();
          turn();
        };
        // The first in line that lacks memory alone is waited for; whoever lacks a slot is not.
        const timer = setInterval(() => {
          if (frames >= slots || line[0] !== waiting) leave();
        }, patienceMs);
        signal.addEventListener("abort", leave, { once: true });
        function finish(answer: (() => void) | undefined): void {
          clearInterval(timer);
          signal.removeEventListener("abort", leave);
          resolve(answer);
        }
        line.push(waiting);
      });
    },
  };
}
