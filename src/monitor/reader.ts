import { setTimeout as delay } from "node:timers/promises";
import { dedicateRedis, type Redis } from "../platform/redis.ts";
import { STREAM } from "./keys.ts";
import { entryOf, type StreamEntry } from "./messages.ts";

/** Entries are gathered this long, so that each listener is written to ten times a second at most. */
const GATHER_MS = 100;
const BLOCK_MS = 1_000;
/** Most entries read at once. */
const READ_MOST = 500;
const PAUSE_MS = 250;

type Reply = [string, [string, string[]][]][] | null;

export interface StreamReader {
  /** The last entry that was handed on; what comes later comes to `onEntries`. */
  readonly lastId: string;
  stop(): void;
}

/**
 * Reads the stream on a connection of its own from now on, and hands entries on in order, the next ones only when the last are done with. Goes on
 * where it was when Redis was away.
 */
export async function startReader(redis: Redis, onEntries: (entries: StreamEntry[]) => Promise<void>): Promise<StreamReader> {
  const newest = await redis.xrevrange(STREAM, "+", "-", "COUNT", 1);
  const [seconds, micros] = await redis.time();
  let lastId = newest[0]?.[0] ?? `${Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000)}-0`;
  const ended = new AbortController();
  const own = dedicateRedis(redis);

  async function run(): Promise<void> {
    while (!ended.signal.aborted) {
      try {
        const reply = (await own.xread("COUNT", READ_MOST, "BLOCK", BLOCK_MS, "STREAMS", STREAM, lastId)) as Reply;
        const entries = reply?.[0]?.[1].map(entryOf) ?? [];
        if (entries.length === 0) continue;
        lastId = entries.at(-1)!.id;
        await onEntries(entries);
        await delay(GATHER_MS);
      } catch {
        if (!ended.signal.aborted) await delay(PAUSE_MS);
      }
    }
  }

  void run();
  return {
    get lastId() {
      return lastId;
    },
    stop() {
      ended.abort();
      own.disconnect();
    },
  };
}

/** The next entries behind an id, oldest first, at most `count`. */
export async function readBehind(redis: Redis, id: string, count: number): Promise<StreamEntry[]> {
  return (await redis.xrange(STREAM, `(${id}`, "+", "COUNT", count)).map(entryOf);
}

/** The oldest entry that is left. */
export async function oldestId(redis: Redis): Promise<string | undefined> {
  return (await redis.xrange(STREAM, "-", "+", "COUNT", 1))[0]?.[0];
}
