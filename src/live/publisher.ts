import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../platform/logger.ts";
import type { Redis } from "../platform/redis.ts";
import { CLOCK, EVERYBODY, KEPT_MS, publishedBy, streamOf } from "./keys.ts";
import { headOf, type LiveMessage, type Publish } from "./message.ts";
import type { PublisherMetrics } from "./metrics.ts";
import { PUBLISH } from "./scripts.ts";

/** Events sent at once. */
const BATCH = 100;
/** What waits while Redis is away; the oldest go first. */
const MOST_WAITING = 10_000;
const MOST_BYTES = 64 * 1024;
const PAUSE_MS = 250;

/** The script as a command, sent whole only once. */
interface Scripted {
  tollkeeperLive(keyCount: number, ...keysAndArguments: (string | number)[]): Promise<number>;
}

interface Waiting {
  no: number;
  userId: string | null;
  stream: string;
  head: string;
  rest: string;
  known: string;
}

export interface LivePublisher {
  publish: Publish;
  /** Sends what waits, for `graceMs` at most, and takes no more. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Tells people what happens in this process, from any process. What has gathered while the last batch was on its way goes with the next one;
 * a batch whose answer was lost is sent again, and told once. While Redis is away events wait; who misses some of them is told of a gap.
 */
export function createLivePublisher(options: {
  redis: Redis;
  /** Of this process alone. */
  name: string;
  /** Events kept for one person. */
  keepMost: number;
  metrics: PublisherMetrics;
  log: Logger;
}): LivePublisher {
  const { redis, name, keepMost, metrics, log } = options;
  redis.defineCommand("tollkeeperLive", { lua: PUBLISH });
  const scripts = redis as unknown as Scripted;
  let waiting: Waiting[] = [];
  let next = 1;
  let running: Promise<void> | undefined;
  let stopped = false;
  /** Whose events could not be kept until Redis was back. */
  const missed = new Set<string | null>();

  function drop(event: Waiting): void {
    metrics.dropped.add();
    missed.add(event.userId);
    if (missed.size <= MOST_WAITING) return;
    // So many that everybody is told.
    missed.clear();
    missed.add(null);
  }

  function take({ userId, type, data, onChange }: LiveMessage): void {
    const json = JSON.stringify(data);
    if (json.length > MOST_BYTES) {
      metrics.dropped.add();
      log.warn({ type, bytes: json.length }, "an event is too large to be pushed");
      return;
    }
    waiting.push({
      no: next++,
      userId,
      stream: userId === null ? EVERYBODY : streamOf(userId),
      head: headOf({ userId, type, data }),
      rest: `"time":"${new Date().toISOString()}","data":${json}}`,
      known: onChange ? json : "",
    });
    metrics.published.of(type).add();
    if (waiting.length > MOST_WAITING) drop(waiting.shift()!);
  }

  async function send(batch: readonly Waiting[]): Promise<void> {
    const keys = [CLOCK, publishedBy(name), ...batch.map(({ stream }) => stream)];
    const texts = batch.flatMap(({ head, rest, known }) => [head, rest, known]);
    await scripts.tollkeeperLive(keys.length, ...keys, KEPT_MS, keepMost, batch[0]!.no, ...texts);
  }

  async function run(): Promise<void> {
    // What is told in the same turn goes together.
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      try {
        await send(batch);
      } catch (error) {
        if (stopped) break;
        log.debug({ err: error, waiting: waiting.length }, "live events wait for redis");
        await delay(PAUSE_MS, undefined, { ref: false });
        continue;
      }
      const last = batch.at(-1)!.no;
      waiting = waiting.filter(({ no }) => no > last);
      const whom = [...missed];
      missed.clear();
      for (const userId of whom) take({ userId, type: "gap", data: { reason: "lost" } });
    }
    running = undefined;
  }

  return {
    publish(message) {
      if (stopped) return;
      try {
        take(message);
        running ??= run();
      } catch (error) {
        log.error({ err: error, type: message.type }, "an event could not be pushed");
      }
    },
    async stop(graceMs) {
      stopped = true;
      if (running) await Promise.race([running, delay(graceMs, undefined, { ref: false })]);
    },
  };
}
