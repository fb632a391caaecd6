import { createEventBuffer } from "../buffer.ts";
import type { Sink } from "../bus.ts";
import type { ActivityEvent } from "../event.ts";
import type { ActivityMetrics } from "../metrics.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";
import { insertEvents } from "./repository.ts";
import { isStored, rowsOf } from "./rows.ts";

const BATCH = 1_000;
/** Classes of Postgres's errors that are the values' own: the same events fail again. */
const DATA_ERROR = /^2[23]/;

/**
 * Keeps events in Postgres, so that every copy of the api shows the same of a user's activity. Served calls are not among them: their usage
 * records are. While Postgres is away events wait in a bounded buffer.
 */
export function createStoreSink(options: { pool: Pool; limit: number; everyMs: number; metrics: ActivityMetrics; log: Logger }): Sink {
  const { pool } = options;

  /** One event that cannot be kept must not take the others along. */
  async function oneByOne(batch: readonly ActivityEvent[]): Promise<{ lost: number; error?: unknown }> {
    let lost = 0;
    let first: unknown;
    for (const event of batch) {
      try {
        await insertEvents(pool, rowsOf([event]));
      } catch (error) {
        if (!isDataError(error)) throw error;
        first ??= error;
        lost += 1;
      }
    }
    return { lost, error: first };
  }

  const buffer = createEventBuffer<ActivityEvent>({
    ...options,
    name: "postgres",
    maxBatch: BATCH,
    retries: true,
    async write(batch) {
      try {
        await insertEvents(pool, rowsOf(batch));
      } catch (error) {
        if (!isDataError(error)) throw error;
        return oneByOne(batch);
      }
    },
  });
  return {
    name: "postgres",
    accept({ event }) {
      if (isStored(event)) buffer.push(event);
    },
    stop: (graceMs) => buffer.stop(graceMs),
  };
}

const isDataError = (error: unknown): boolean => DATA_ERROR.test(String((error as { code?: unknown } | null)?.code));
