import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import { createGate } from "./gate.ts";
import { hasPending, markDraining, pendingOf } from "./repository.ts";
import type { Settlement } from "./settlement.ts";

/** What one drain of a shard did, and what it left. Plain JSON: it is a workflow's activity result. */
export interface DrainResult {
  settled: number;
  setAside: number;
  batches: number;
  pending: number;
  oldestPendingAt: string | null;
}

export interface DrainOptions {
  /** Stop after this long even if more waits, so that nobody holds a shard for ever. */
  maxMs: number;
  /** Stay this long after the last event: a busy shard is then settled by few long drains instead of many short ones. */
  lingerMs: number;
  signal?: AbortSignal;
  onProgress?: (settledSoFar: number) => void;
}

export type Drain = (shard: number, options: DrainOptions) => Promise<DrainResult>;

const POLL_MS = 100;
const GATHER_MS = 25;
const MAX_GATHER_MS = 400;
/** How long others may rely on this drain without hearing of it again. */
const MARK_MS = 3_000;
/** Longer than a record takes from reading the mark to its commit; see the end of the drain. */
const RACE_MS = 250;
/** Events of calls that began earlier are looked for once per drain only. */
const RECENT_MS = 3_600_000;
/** Batches of different shards under way at once in this process. All post to one revenue account, so more would only wait, wallets locked. */
const BATCHES_AT_ONCE = 2;

/** Creates the loop that settles a shard until nothing waits. Correct without any lock outside Postgres: two at once share the work. */
export function createDrain(deps: { pool: Pool; settlement: Pick<Settlement, "settleBatch">; batch: number; log: Logger }): Drain {
  const { pool, settlement, batch, log } = deps;
  const oneOfFew = createGate(BATCHES_AT_ONCE);
  let active = 0;

  async function drain(shard: number, options: DrainOptions): Promise<DrainResult> {
    const started = Date.now();
    const result: DrainResult = { settled: 0, setAside: 0, batches: 0, pending: 0, oldestPendingAt: null };
    const recent = new Date(started - RECENT_MS);
    let since: Date | undefined;
    let lastFound = started;
    let markedAt = 0;
    let full = false;
    const over = () => options.signal?.aborted === true || Date.now() - started >= options.maxMs;
    const pause = (ms: number) => delay(ms, undefined, { signal: options.signal }).catch(() => undefined);

    async function settleWaiting(): Promise<"found" | "busy" | "nothing"> {
      if (!(await hasPending(pool, shard, since))) {
        since = recent;
        return "nothing";
      }
      const done = await oneOfFew(() => settlement.settleBatch(shard, batch, since));
      full = done.taken >= batch;
      if (done.busy) return "busy";
      result.settled += done.settled;
      result.setAside += done.setAside;
      if (done.taken > 0) result.batches += 1;
      options.onProgress?.(result.settled);
      return done.taken > 0 ? "found" : "busy";
    }

    while (!over()) {
      const found = await settleWaiting();
      if (found === "found") {
        lastFound = Date.now();
        if (lastFound - markedAt > MARK_MS / 3) {
          await markDraining(pool, shard, MARK_MS);
          markedAt = lastFound;
        }
        // A batch that was not full took all there was. The next may gather for a moment: each transaction locks wallets that the relay
        // wants to hold on, so a process that drains many shards makes few and larger ones.
        if (!full) await pause(Math.min(Math.max(POLL_MS, active * GATHER_MS), MAX_GATHER_MS));
        continue;
      }
      // Nothing was there at all: an idle shard costs one question.
      if (found === "nothing" && markedAt === 0) return result;
      if (Date.now() - lastFound >= options.lingerMs) break;
      await pause(POLL_MS);
    }
    if (markedAt > 0) {
      // A call recorded a moment ago may have seen the mark and so woke nobody: take the mark away, let it commit, look once more.
      await markDraining(pool, shard, 0);
      await pause(RACE_MS);
      while (!options.signal?.aborted && (await settleWaiting()) === "found" && !over());
    }
    const left = await pendingOf(pool, shard);
    if (left.pending > 0) log.info({ shard, ...left }, "a drain left events waiting");
    return { ...result, pending: left.pending, oldestPendingAt: left.oldest?.toISOString() ?? null };
  }

  return async (shard, options) => {
    active += 1;
    try {
      return await drain(shard, options);
    } finally {
      active -= 1;
    }
  };
}
