import { setTimeout as delay } from "node:timers/promises";

/** What an item answers that has to wait for these: nothing of it was done. */
export class Waits<Key> {
  readonly keys: readonly Key[];

  constructor(keys: readonly Key[]) {
    this.keys = keys;
  }
}

/** Items that wait for what somebody keeps locked, and hold up nobody else. */
export interface Aside<Item, Answer, Key> {
  /** Whether items wait for this: whatever comes after them is to wait with them. */
  waitsFor(key: Key): boolean;
  /** Answers when the item's turn has come. An error when what it needs was never free for as long as an item waits: nothing was done. */
  add(item: Item, keys: readonly Key[]): Promise<Answer | Error>;
  readonly size: number;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
}

interface Waiting<Item, Answer, Key> {
  item: Item;
  /** It may turn out that it needs others. */
  keys: readonly Key[];
  since: number;
  resolve: (answer: Answer | Error) => void;
}

const POLL_MS = 25;
const MAX_BATCH = 200;

/**
 * Creates the place aside. What is locked is looked at again and again without waiting for any of it, so however much is locked, one
 * connection does. `run` answers each item: {@link Waits} for those that go on waiting.
 */
export function createAside<Item, Answer, Key>(options: {
  /** Those of the keys that nobody has locked at this moment. */
  free: (keys: readonly Key[]) => Promise<ReadonlySet<Key>>;
  run: (items: readonly Item[]) => Promise<(Answer | Waits<Key> | Error)[]>;
  /** How long an item waits at most. */
  waitMs: number;
  /** What it is answered then. */
  late: () => Error;
}): Aside<Item, Answer, Key> {
  const { free: freeOf, run, waitMs, late } = options;
  const waiting = new Set<Waiting<Item, Answer, Key>>();
  const waitingFor = new Map<Key, number>();
  let loop: Promise<void> | undefined;

  const count = ({ keys }: Waiting<Item, Answer, Key>, by: number): void => {
    for (const key of keys) {
      const now = (waitingFor.get(key) ?? 0) + by;
      if (now === 0) waitingFor.delete(key);
      else waitingFor.set(key, now);
    }
  };

  function done(one: Waiting<Item, Answer, Key>, answer: Answer | Error): void {
    waiting.delete(one);
    count(one, -1);
    one.resolve(answer);
  }

  function waitOn(one: Waiting<Item, Answer, Key>, { keys }: Waits<Key>): void {
    count(one, -1);
    one.keys = [...new Set(keys)];
    count(one, 1);
  }

  /** Answers whether anything was done. */
  async function tryAll(): Promise<boolean> {
    const before = performance.now() - waitMs;
    for (const one of waiting) if (one.since < before) done(one, late());
    if (waiting.size === 0) return true;
    const free = await freeOf([...waitingFor.keys()]);
    const ready = [...waiting].filter(({ keys }) => keys.every((key) => free.has(key))).slice(0, MAX_BATCH);
    if (ready.length === 0) return false;
    const answers = await run(ready.map(({ item }) => item));
    let progress = false;
    for (const [n, one] of ready.entries()) {
      const answer = answers[n]!;
      if (answer instanceof Waits) waitOn(one, answer);
      else {
        done(one, answer);
        progress = true;
      }
    }
    return progress;
  }

  async function work(): Promise<void> {
    while (waiting.size > 0) {
      try {
        if (!(await tryAll())) await delay(POLL_MS);
      } catch (error) {
        for (const one of waiting) done(one, error as Error);
      }
    }
    loop = undefined;
  }

  return {
    waitsFor: (key) => waitingFor.has(key),
    add(item, keys) {
      return new Promise((resolve) => {
        const one = { item, keys: [...new Set(keys)], since: performance.now(), resolve };
        waiting.add(one);
        count(one, 1);
        loop ??= work();
      });
    },
    get size() {
      return waiting.size;
    },
    async idle() {
      await loop;
    },
  };
}
