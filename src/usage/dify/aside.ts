import { setTimeout as delay } from "node:timers/promises";
import type { Ledger } from "../../ledger/index.ts";
import { appError } from "../../platform/errors.ts";
import { WalletsBusy } from "./busy.ts";

/** Items that wait for wallets which somebody keeps locked, and hold up nobody else. */
export interface Aside<Item, Answer> {
  /** Whether items wait for this wallet: whatever comes after them is to wait with them. */
  waitsFor(walletId: bigint): boolean;
  /** Answers when the item's turn has come. An error when its wallets were never free for as long as its sender waits: nothing was done. */
  add(item: Item, wallets: readonly bigint[]): Promise<Answer | Error>;
  readonly size: number;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
}

interface Waiting<Item, Answer> {
  item: Item;
  /** It may turn out that it needs others. */
  wallets: readonly bigint[];
  since: number;
  resolve: (answer: Answer | Error) => void;
}

const POLL_MS = 25;
const MAX_BATCH = 200;

/**
 * Creates the place aside. Wallets are looked at again and again without waiting for any, so however many are busy, one connection does.
 * `run` answers each item: {@link WalletsBusy} for those that go on waiting.
 */
export function createAside<Item, Answer>(options: {
  ledger: Pick<Ledger, "unlocked">;
  run: (items: readonly Item[]) => Promise<(Answer | Error)[]>;
  /** How long an item waits at most. */
  waitMs: number;
}): Aside<Item, Answer> {
  const { ledger, run, waitMs } = options;
  const waiting = new Set<Waiting<Item, Answer>>();
  const waitingFor = new Map<bigint, number>();
  let loop: Promise<void> | undefined;

  const count = ({ wallets }: Waiting<Item, Answer>, by: number): void => {
    for (const id of wallets) {
      const now = (waitingFor.get(id) ?? 0) + by;
      if (now === 0) waitingFor.delete(id);
      else waitingFor.set(id, now);
    }
  };

  function done(one: Waiting<Item, Answer>, answer: Answer | Error): void {
    waiting.delete(one);
    count(one, -1);
    one.resolve(answer);
  }

  function waitOn(one: Waiting<Item, Answer>, { needs }: WalletsBusy): void {
    count(one, -1);
    one.wallets = [...new Set([...needs.values()].flat())];
    count(one, 1);
  }

  /** Answers whether anything was done. */
  async function tryAll(): Promise<boolean> {
    const late = performance.now() - waitMs;
    for (const one of waiting) if (one.since < late) done(one, appError("unavailable", { message: "The wallet is busy", retryAfter: 1 }));
    const free = await ledger.unlocked([...waitingFor.keys()]);
    const ready = [...waiting].filter(({ wallets }) => wallets.every((id) => free.has(id))).slice(0, MAX_BATCH);
    if (ready.length === 0) return false;
    const answers = await run(ready.map(({ item }) => item));
    let progress = false;
    for (const [n, one] of ready.entries()) {
      const answer = answers[n]!;
      if (answer instanceof WalletsBusy) waitOn(one, answer);
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
    waitsFor: (walletId) => waitingFor.has(walletId),
    add(item, wallets) {
      return new Promise((resolve) => {
        const one = { item, wallets, since: performance.now(), resolve };
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
