import type { Redis } from "../platform/redis.ts";
import type { Tracing } from "../platform/tracing/index.ts";
import type { SettledBatch } from "./settlementMetrics.ts";

/**
 * How the charge of a traced call finds the call's trace: the api leaves the `traceparent` in Redis, the worker takes it up. Only sampled
 * calls leave anything; what Redis loses is missing from the trace and from nothing else.
 */

const KEPT_S = 3_600;

/** Calls that began within about a minute (the first 32 bits of a UUIDv7) share a key, so that a batch asks for few. */
const keyOf = (callId: string): string => `traces:${callId.slice(0, 8)}`;

/** Leaves the trace of a call for its settlement; nobody waits for it. */
export type LeaveTrace = (callId: string, traceparent: string) => void;

/** Traces left in one turn of the event loop go to Redis as one command, ahead of the records that the same turn gathers. */
export function createTraceLeaver(redis: Redis): LeaveTrace {
  let waiting = new Map<string, string[]>();
  /** The newest key whose end is set. */
  let ending = "";

  function send(): void {
    for (const [key, fields] of waiting) {
      redis.hset(key, ...fields).catch(() => undefined);
      if (key === ending) continue;
      redis.expire(key, KEPT_S).then(
        () => (ending = key),
        () => undefined,
      );
    }
    waiting = new Map();
  }

  return (callId, traceparent) => {
    if (waiting.size === 0) setImmediate(send);
    const key = keyOf(callId);
    const fields = waiting.get(key);
    if (fields) fields.push(callId, traceparent);
    else waiting.set(key, [callId, traceparent]);
  };
}

async function takeUp(redis: Redis, callIds: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const key of new Set(callIds.map(keyOf))) {
    const ids = callIds.filter((id) => keyOf(id) === key);
    const values = await redis.hmget(key, ...ids);
    values.forEach((value, i) => value !== null && found.set(ids[i]!, value));
  }
  return found;
}

/** Adds the charge to the trace of each traced call of a committed batch. Times are `performance.now()`. Never rejects. */
export type SettlementTrace = (batch: SettledBatch, startMs: number, endMs: number) => Promise<void>;

export function createSettlementTrace(deps: { redis: Redis; tracing: Tracing }): SettlementTrace {
  const { redis, tracing } = deps;
  return async ({ charges }, startMs, endMs) => {
    try {
      if (charges.length === 0) return;
      const traced = await takeUp(
        redis,
        charges.map(({ id }) => id),
      );
      for (const { id, model, charged, lag } of charges) {
        const parent = traced.get(id);
        if (parent === undefined) continue;
        const facts = {
          "db.system.name": "postgresql",
          "gen_ai.request.model": model,
          "tollkeeper.call_id": id,
          "tollkeeper.charged_credits": Number(charged) / 1e6,
          "tollkeeper.settlement_lag_s": lag,
          "tollkeeper.batch": charges.length,
        };
        tracing.resume("settle", parent, { kind: "consumer", startMs, facts })?.end(endMs);
      }
    } catch {
      // Redis is away: the charge is made, its span is missing.
    }
  };
}
