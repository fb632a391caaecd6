import type { Ask, Refusal, Limiter, LimitVerdict } from "./types.ts";

/** Who waits: calls of one key, or one end-user token, stand in one queue. */
export interface Waiter {
  userId: string;
  keyId: string | null;
  tokenId: string | null;
}

/** A call that waits for a permit. */
interface Place {
  ask: Ask;
  account: string;
  /** Counters of calls at once it has to pass. */
  counters: readonly string[];
  untilMs: number;
  /** What refuses it. */
  refusal: Refusal;
  /** Undefined for a call that was given up. */
  resolve(verdict: LimitVerdict | undefined): void;
}

/** Calls that wait for permits, in this copy. */
export interface PermitQueue {
  readonly size: number;
  /** What refuses the calls that wait for one of these counters already: whoever comes later has to stand behind them. */
  refusalOf(counters: readonly string[]): Refusal | undefined;
  /** Whether one more of this caller may wait. */
  hasRoom(who: Waiter): boolean;
  /** Resolves with a permit, with the refusal when the time is over, or with undefined after `leave`. */
  wait(who: Waiter, place: Omit<Place, "resolve" | "account">): { verdict: Promise<LimitVerdict | undefined>; leave: () => void };
  /** There may be a place in these counters now. */
  freed(counters: readonly string[]): void;
}

/** Calls of one key, and of one account, that may wait here at a time; any more are refused at once. */
export const MOST_OF_KEY = 10;
export const MOST_OF_ACCOUNT = 100;
/** Calls that end on another copy are told to Redis and to nobody else. */
const AGAIN_MS = 50;

const keyOf = ({ userId, keyId, tokenId }: Waiter): string => `${userId} ${keyId ?? ""} ${tokenId ?? ""}`;

/** Is it calls at once that refuse? */
export const isFull = (verdict: LimitVerdict): verdict is Extract<LimitVerdict, { allowed: false }> =>
  !verdict.allowed && verdict.kind === "parallel";

/** A refusal without the figures of whoever met it. */
export const refusedBy = (refusal: Refusal): LimitVerdict => ({ ...refusal, requests: undefined, tokens: undefined });

/**
 * One queue for each key; the first of a queue is asked for first, and the queues take turns, so that many calls of one key do not keep
 * those of another from a permit that both wait for. A call passes one before it only when that one waits for a counter it does not need.
 */
export function createPermitQueue(limiter: Pick<Limiter, "admit" | "release">): PermitQueue {
  const queues = new Map<string, Place[]>();
  const accounts = new Map<string, number>();
  /** How many wait for each counter, and what refuses them. */
  const awaited = new Map<string, { count: number; refusal: Refusal }>();
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  /** Counters in which there may be a place. */
  const due = new Set<string>();
  let looking = false;

  function count(refusal: Refusal, by: 1 | -1): void {
    const known = awaited.get(refusal.counter);
    const next = (known?.count ?? 0) + by;
    if (next === 0) awaited.delete(refusal.counter);
    else awaited.set(refusal.counter, { count: next, refusal });
  }

  /** False when it has left before. */
  function remove(key: string, place: Place): boolean {
    const queue = queues.get(key);
    const at = queue?.indexOf(place) ?? -1;
    if (at < 0) return false;
    queue!.splice(at, 1);
    if (queue!.length === 0) queues.delete(key);
    const ofAccount = accounts.get(place.account)! - 1;
    if (ofAccount > 0) accounts.set(place.account, ofAccount);
    else accounts.delete(place.account);
    count(place.refusal, -1);
    size -= 1;
    if (size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
    return true;
  }

  /** Asks for one call; `full` gathers the counters that have no place. */
  async function askFor(key: string, place: Place, full: Set<string>): Promise<void> {
    const verdict = await limiter.admit(place.ask);
    if (isFull(verdict)) {
      full.add(verdict.counter);
      if (queues.get(key)?.includes(place) !== true) return;
      count(place.refusal, -1);
      count(verdict, 1);
      place.refusal = verdict;
      return;
    }
    if (remove(key, place)) return place.resolve(verdict);
    // It left meanwhile.
    if (verdict.allowed && verdict.permit) limiter.release(verdict.permit, 0);
  }

  /** Goes round these queues until each call has a permit or needs a counter that is full. Every question settles one of the two. */
  async function goRound(keys: readonly string[]): Promise<void> {
    const full = new Set<string>();
    for (let asked = true; asked;) {
      asked = false;
      for (const key of keys) {
        const place = queues.get(key)?.find(({ counters }) => !counters.some((id) => full.has(id)));
        if (!place) continue;
        asked = true;
        await askFor(key, place, full);
        if (queues.get(key)?.includes(place) === false) turnEnds(key);
      }
    }
  }

  /** Whose call got a permit is last in the next round. */
  function turnEnds(key: string): void {
    const queue = queues.get(key)!;
    queues.delete(key);
    queues.set(key, queue);
  }

  async function look(): Promise<void> {
    if (looking) return;
    looking = true;
    try {
      while (due.size > 0) {
        const keys = [...queues].flatMap(([key, queue]) => (queue.some(({ refusal }) => due.has(refusal.counter)) ? [key] : []));
        due.clear();
        await goRound(keys);
      }
    } finally {
      looking = false;
    }
  }

  function tick(): void {
    const nowMs = performance.now();
    for (const [key, queue] of queues) {
      for (const place of queue.filter(({ untilMs }) => untilMs <= nowMs)) {
        if (remove(key, place)) place.resolve(refusedBy(place.refusal));
      }
    }
    for (const counter of awaited.keys()) due.add(counter);
    void look();
  }

  return {
    get size() {
      return size;
    },
    refusalOf(counters) {
      for (const id of counters) {
        const known = awaited.get(id);
        if (known) return known.refusal;
      }
      return undefined;
    },
    hasRoom: (who) => (queues.get(keyOf(who))?.length ?? 0) < MOST_OF_KEY && (accounts.get(who.userId) ?? 0) < MOST_OF_ACCOUNT,
    wait(who, given) {
      const key = keyOf(who);
      let leave = (): void => undefined;
      const verdict = new Promise<LimitVerdict | undefined>((resolve) => {
        const place: Place = { ...given, account: who.userId, resolve };
        const queue = queues.get(key);
        if (queue) queue.push(place);
        else queues.set(key, [place]);
        accounts.set(place.account, (accounts.get(place.account) ?? 0) + 1);
        count(place.refusal, 1);
        size += 1;
        timer ??= setInterval(tick, AGAIN_MS).unref();
        leave = () => {
          if (remove(key, place)) resolve(undefined);
        };
      });
      return { verdict, leave };
    },
    freed(counters) {
      if (size === 0) return;
      for (const id of counters) if (awaited.has(id)) due.add(id);
      void look();
    },
  };
}
