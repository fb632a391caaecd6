import type { Logger } from "../../platform/logger.ts";
import type { Redis } from "../../platform/redis.ts";
import { FORGET, HASH, LEASE, leaseKey, PUT, READ, RELEASE } from "./script.ts";

/** What all copies should know about a circuit, a key or a provider. */
export interface Fact {
  /** Milliseconds it still holds. */
  forMs: number;
  /** How often in a row, for what backs off. */
  count: number;
  /** Why; empty for what is well again. */
  reason: string;
}

export interface Shared {
  /** Tells the other copies; at once, or once Redis is back. Returns immediately. */
  put(field: string, fact: Fact): void;
  /** The same for a fact that makes those of other fields void. */
  forget(field: string, others: readonly string[]): void;
  /**
   * Asks for the right to try something that only one copy may try at a time; every copy may while Redis is gone. It ends after
   * {@link LEASE_MS} unless it is kept.
   */
  lease(field: string): Promise<boolean>;
  /** The trial has begun: the right is renewed until it is released. */
  keep(field: string): void;
  release(field: string): void;
  /** Listens and reads what is known. Never rejects. */
  start(): void;
  stop(): void;
}

interface Scripted {
  tollkeeperFact(hash: string, ...args: (string | number)[]): Promise<number>;
  tollkeeperForget(hash: string, ...args: (string | number)[]): Promise<number>;
  tollkeeperFacts(hash: string): Promise<[field: string, version: number, forMs: number, text: string][]>;
  tollkeeperLease(key: string, copy: string, ms: number): Promise<number>;
  tollkeeperUnlease(key: string, copy: string): Promise<number>;
}

/** Announcements are heard at once; what was missed is found by reading everything this often. */
const READ_MS = 2_000;
/** The right of a copy that died during its trial, or never began it, comes back after this. */
export const LEASE_MS = 15_000;

interface Waiting extends Fact {
  sinceMs: number;
  others: readonly string[] | undefined;
}

/**
 * Facts that all copies should act on, kept in one Redis hash and announced by pub/sub. The last one to be written wins; the clock is
 * Redis's own. Nobody waits for it: copies act from memory, and on their own facts alone while Redis is gone.
 */
export function createShared(deps: {
  redis: Redis;
  log: Logger;
  copy: string;
  /** A fact of another copy; in the order in which they were written. */
  learn: (field: string, fact: Fact) => void;
}): Shared {
  const { redis, log, copy, learn } = deps;
  redis.defineCommand("tollkeeperFact", { lua: PUT, numberOfKeys: 1 });
  redis.defineCommand("tollkeeperForget", { lua: FORGET, numberOfKeys: 1 });
  redis.defineCommand("tollkeeperFacts", { lua: READ, numberOfKeys: 1 });
  redis.defineCommand("tollkeeperLease", { lua: LEASE, numberOfKeys: 1 });
  redis.defineCommand("tollkeeperUnlease", { lua: RELEASE, numberOfKeys: 1 });
  const scripts = redis as unknown as Scripted;
  const versions = new Map<string, number>();
  /** Ours that Redis has not confirmed: they go before what others say. */
  const waiting = new Map<string, Waiting>();
  const kept = new Set<string>();
  let subscriber: Redis | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function hear(field: string, version: number, fact: Fact): void {
    if (version <= (versions.get(field) ?? 0) || waiting.has(field)) return;
    versions.set(field, version);
    learn(field, fact);
  }

  async function send(field: string): Promise<void> {
    const item = waiting.get(field);
    if (!item || redis.status !== "ready") return;
    const forMs = Math.max(0, item.forMs - (performance.now() - item.sinceMs));
    const text = JSON.stringify([copy, item.count, item.reason]);
    try {
      const version = item.others
        ? await scripts.tollkeeperForget(HASH, field, Math.ceil(forMs), text, ...item.others)
        : await scripts.tollkeeperFact(HASH, field, Math.ceil(forMs), text);
      versions.set(field, Math.max(version, versions.get(field) ?? 0));
      if (waiting.get(field) === item) waiting.delete(field);
    } catch (error) {
      log.debug({ err: error, field }, "a fact about a provider could not be shared yet");
    }
  }

  function offer(field: string, item: Waiting): void {
    waiting.set(field, item);
    void send(field);
  }

  async function read(): Promise<void> {
    if (redis.status !== "ready" || stopped) return;
    for (const field of waiting.keys()) void send(field);
    for (const field of kept) void scripts.tollkeeperLease(leaseKey(field), copy, LEASE_MS).catch(() => undefined);
    try {
      const facts = await scripts.tollkeeperFacts(HASH);
      facts.sort((a, b) => a[1] - b[1]);
      for (const [field, version, forMs, text] of facts) {
        const [, count, reason] = JSON.parse(text) as [string, number, string];
        hear(field, version, { forMs, count, reason });
      }
    } catch (error) {
      log.debug({ err: error }, "facts about providers could not be read");
    }
  }

  const onReady = (): void => void read();

  function listen(): void {
    const listener = redis.duplicate({ maxRetriesPerRequest: null, lazyConnect: true });
    subscriber = listener;
    listener.on("error", () => undefined);
    listener.on("message", (_channel: string, message: string) => {
      const [field, version, forMs, text] = JSON.parse(message) as [string, number, number, string];
      const [from, count, reason] = JSON.parse(text) as [string, number, string];
      if (from !== copy) hear(field, version, { forMs, count, reason });
    });
    // After every connection: one that was asked before Redis was there would be lost.
    listener.on("ready", () => {
      listener.subscribe(HASH).then(onReady, () => undefined);
    });
    redis.on("ready", onReady);
    listener.connect().catch(() => undefined);
  }

  function release(field: string): void {
    kept.delete(field);
    if (redis.status === "ready") void scripts.tollkeeperUnlease(leaseKey(field), copy).catch(() => undefined);
  }

  return {
    put: (field, fact) => offer(field, { ...fact, sinceMs: performance.now(), others: undefined }),
    forget(field, others) {
      for (const other of others) waiting.delete(other);
      offer(field, { forMs: 0, count: 0, reason: "", sinceMs: performance.now(), others });
    },
    async lease(field) {
      if (redis.status !== "ready") return true;
      try {
        return (await scripts.tollkeeperLease(leaseKey(field), copy, LEASE_MS)) === 1;
      } catch {
        return true;
      }
    },
    keep: (field) => void kept.add(field),
    release,
    start() {
      listen();
      timer = setInterval(() => void read(), READ_MS);
      timer.unref();
    },
    stop() {
      stopped = true;
      clearInterval(timer);
      redis.off("ready", onReady);
      subscriber?.disconnect();
      for (const field of kept) release(field);
    },
  };
}
