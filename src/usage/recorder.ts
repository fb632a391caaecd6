import { setTimeout as delay } from "node:timers/promises";
import { createAside, Waits } from "../platform/aside.ts";
import { createBatcher } from "../platform/batcher.ts";
import { createMetrics } from "../platform/metrics.ts";
import { appError } from "../platform/errors.ts";
import type { HideIp } from "../platform/hideIp.ts";
import { aroundLocked } from "../platform/locked.ts";
import type { Logger } from "../platform/logger.ts";
import { isLockTimeout, type Pool } from "../platform/postgres.ts";
import { eventJson, shardOf, type UsageEvent } from "./event.ts";
import { freeMessages } from "./messageLocks.ts";
import { createMessageNotes, type MessageNotes } from "./messageCalls.ts";
import { createRecorderMetrics, type RecorderMetrics } from "./metrics.ts";
import type { Nudger } from "./nudge.ts";
import { insertBillable, insertFree, isDataError, type EncodedEvent } from "./repository.ts";

/** What the relay needs to leave a durable record of every call. */
export interface Recorder extends Pick<MessageNotes, "noteMessage" | "waiveMessage"> {
  /**
   * Records a call that is to be charged; resolves when that is durable. The sweep leaves its hold alone from then on. Idempotent by `event.id` (with the same
   * `startedAt`). While Postgres is away it keeps trying until {@link Recorder.stop}. Rejects only for a record that Postgres can never take.
   * `known`: its message was recorded before and is charged there; nothing was written, and its hold is to be released.
   */
  record(event: UsageEvent): Promise<"recorded" | "known">;
  /** Notes a call that costs nothing; written within a second, best effort. */
  recordFailure(event: UsageEvent): void;
  /** Writes what is waiting, then refuses more. After `graceMs` without Postgres the rest is rejected and left in the log. */
  stop(graceMs?: number): Promise<void>;
}

/** What became of one record; an error is its own fault. */
type Answer = "recorded" | "known" | Error;

const FREE_DELAY_MS = 250;
const FREE_LIMIT = 20_000;
const MAX_BATCH = 500;
const LANES = 2;

/** Of a message that may have been recorded before. */
type KeyedEvent = EncodedEvent & { messageKey: string };
const hasMessage = (event: EncodedEvent): event is KeyedEvent => event.messageKey !== undefined;

/** Creates the recorder; several batches of billable events are under way at once, each in the order it was given. */
export function createRecorder(deps: {
  pool: Pool;
  log: Logger;
  shards: number;
  nudger: Nudger;
  /** What is kept of callers' addresses; by default all. */
  hideIp?: HideIp;
  metrics?: RecorderMetrics;
}): Recorder {
  const { pool, log, shards, nudger, hideIp, metrics = createRecorderMetrics(createMetrics()) } = deps;
  const notes = createMessageNotes({ pool, log });
  const abandon = new AbortController();
  let stopping = false;
  let free: EncodedEvent[] = [];
  let freeTimer: NodeJS.Timeout | undefined;
  let freeFlush: Promise<void> = Promise.resolve();
  let dropped = 0;

  function encode(event: UsageEvent): EncodedEvent {
    const shard = shardOf(event.walletId, shards);
    const { countedTokens, messageKey, clientIp } = event;
    const ip = clientIp === null || !hideIp ? clientIp : hideIp(clientIp);
    return { id: event.id, shard, json: eventJson(event, shard, ip), countedTokens, messageKey: messageKey ?? undefined };
  }

  async function write(batch: readonly EncodedEvent[]): Promise<Answer[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        const { wake, known } = await insertBillable(pool, batch);
        nudger.nudge(wake);
        return batch.map(({ id }) => (known.length > 0 && known.includes(id) ? "known" : "recorded"));
      } catch (error) {
        if (isDataError(error)) return refuse(batch, error as Error);
        if (isLockTimeout(error) && !abandon.signal.aborted) throw error;
        if (attempt === 0) log.warn({ err: error, events: batch.length }, "usage events wait for postgres");
        await delay(Math.min(25 * 2 ** Math.min(attempt, 6), 1_000), undefined, { signal: abandon.signal }).catch(() => {
          log.error({ err: error, events: batch.map((event) => event.json) }, "usage events could not be written before the stop");
          throw appError("unavailable", { cause: error });
        });
      }
    }
  }

  /** One record that cannot be stored must not take its batch along: halves until it stands alone. */
  async function refuse(batch: readonly EncodedEvent[], error: Error): Promise<Answer[]> {
    if (batch.length > 1) {
      const middle = batch.length >> 1;
      return [...(await write(batch.slice(0, middle))), ...(await write(batch.slice(middle)))];
    }
    log.error({ err: error, event: batch[0]?.json }, "a usage event cannot be stored");
    return [error];
  }

  /** While Postgres is away none is free; what is given up is tried once more, and then left in the log. */
  async function freeKeys(keys: readonly string[]): Promise<ReadonlySet<string>> {
    if (abandon.signal.aborted) return new Set(keys);
    const found = await freeMessages(
      pool,
      keys.map((messageKey) => ({ messageKey })),
    ).catch(() => []);
    return new Set(found.map(({ messageKey }) => messageKey));
  }

  const writeKeyed = (batch: readonly KeyedEvent[]): Promise<(Answer | Waits<string>)[]> =>
    aroundLocked(batch, { keyOf: ({ messageKey }) => messageKey, run: write, free: freeKeys });

  const plain = createBatcher<EncodedEvent, Answer>({ run: write, maxBatch: MAX_BATCH, lanes: LANES, onBatch: metrics.committed });
  // Somebody else may just be recording their messages, and stand still: no other call waits for that.
  const keyed = createBatcher<KeyedEvent, Answer | Waits<string>>({
    run: writeKeyed,
    maxBatch: MAX_BATCH,
    lanes: LANES,
    onBatch: metrics.committed,
  });
  const aside = createAside<KeyedEvent, Answer, string>({
    free: freeKeys,
    run: writeKeyed,
    waitMs: Number.POSITIVE_INFINITY,
    late: () => appError("unavailable"),
  });

  async function writeSoon(event: EncodedEvent): Promise<Answer> {
    if (!hasMessage(event)) return plain.add(event);
    if (aside.waitsFor(event.messageKey)) return aside.add(event, [event.messageKey]);
    const answer = await keyed.add(event);
    return answer instanceof Waits ? aside.add(event, answer.keys) : answer;
  }

  async function flushFree(): Promise<void> {
    while (free.length > 0) {
      const batch = free.slice(0, MAX_BATCH);
      try {
        await insertFree(pool, batch);
        free = free.slice(batch.length);
      } catch (error) {
        if (!isDataError(error)) throw error;
        free = free.slice(batch.length);
        for (const event of batch) {
          await insertFree(pool, [event]).catch((cause: unknown) =>
            log.error({ err: cause, event: event.json }, "a usage event cannot be stored"),
          );
        }
      }
    }
  }

  function scheduleFree(pauseMs = FREE_DELAY_MS): void {
    freeTimer ??= setTimeout(() => {
      freeFlush = flushFree().then(
        () => {
          if (dropped > 0) log.warn({ dropped }, "records of free calls were dropped while postgres was away");
          dropped = 0;
          freeTimer = undefined;
          if (free.length > 0) scheduleFree();
        },
        () => {
          freeTimer = undefined;
          if (!stopping) scheduleFree(1_000);
        },
      );
    }, pauseMs);
  }

  return {
    noteMessage: notes.noteMessage,
    waiveMessage: notes.waiveMessage,
    async record(event) {
      if (stopping) throw appError("unavailable", { message: "The process is stopping" });
      const answer = await writeSoon(encode(event));
      if (answer instanceof Error) throw answer;
      if (answer === "recorded") metrics.recorded(event);
      return answer;
    },
    recordFailure(event) {
      metrics.recorded(event);
      if (free.length >= FREE_LIMIT) {
        dropped += 1;
        metrics.dropped();
        return;
      }
      free.push(encode(event));
      scheduleFree();
    },
    async stop(graceMs = 5_000) {
      const giveUp = setTimeout(() => abandon.abort(), graceMs);
      await plain.idle();
      await keyed.idle();
      await aside.idle();
      stopping = true;
      clearTimeout(giveUp);
      clearTimeout(freeTimer);
      await freeFlush;
      await notes.idle();
      await flushFree().catch((error: unknown) => log.warn({ err: error, events: free.length }, "records of free calls were lost"));
      await nudger.stop();
    },
  };
}
