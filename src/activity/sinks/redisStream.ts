import type { Logger } from "../../platform/logger.ts";
import type { Redis } from "../../platform/redis.ts";
import { createEventBuffer } from "../buffer.ts";
import type { Sink } from "../bus.ts";
import type { Entry } from "../entry.ts";
import type { ActivityMetrics } from "../metrics.ts";

/** Commands sent together: few round trips, and none that Redis is busy with for long. */
const BATCH = 500;

/**
 * Adds each event to a Redis Stream, as the fields `kind` and `event` (its JSON). The stream is kept at about `maxLength` entries. While
 * Redis is away events wait in a bounded buffer. A batch whose answer was lost is sent again, so consumers may see an event twice.
 */
export function createRedisStreamSink(options: {
  redis: Redis;
  stream: string;
  maxLength: number;
  limit: number;
  everyMs: number;
  metrics: ActivityMetrics;
  log: Logger;
}): Sink {
  const { redis, stream, maxLength } = options;

  async function write(batch: Entry[]): Promise<void> {
    const pipeline = redis.pipeline();
    for (const { event, json } of batch) pipeline.xadd(stream, "MAXLEN", "~", maxLength, "*", "kind", event.kind, "event", json);
    const results = (await pipeline.exec()) ?? [];
    const failed = results.find(([error]) => error);
    if (failed?.[0]) throw failed[0];
  }

  const buffer = createEventBuffer<Entry>({ ...options, name: "redis", maxBatch: BATCH, write, retries: true });
  return { name: "redis", accept: (entry) => buffer.push(entry), stop: (graceMs) => buffer.stop(graceMs) };
}
