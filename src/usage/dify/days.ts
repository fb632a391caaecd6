import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";

/** Sees to it that the days to which messages are dated have their partitions; where one cannot be made, its rows wait in the net. */
export type ReadyDays = (times: readonly Date[]) => Promise<void>;

/** Days that one process remembers; a message is at most a month old, unless it waited for an operator. */
const REMEMBERED = 400;
/** A day that could not be made is tried again after this long. */
const AGAIN_MS = 60_000;

/** Asks once per day and process. Never rejects: a message is charged also while its day has no partition. */
export function createReadyDays(deps: { pool: Pool; log: Logger; clock?: () => number }): ReadyDays {
  const { pool, log, clock = Date.now } = deps;
  const askedAt = new Map<string, number>();

  return async (times) => {
    const now = clock();
    const unknown = [...new Set(times.map((time) => time.toISOString().slice(0, 10)))].filter(
      (day) => !(now - (askedAt.get(day) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS),
    );
    if (unknown.length === 0) return;
    if (askedAt.size > REMEMBERED) askedAt.clear();
    for (const day of unknown) askedAt.set(day, Number.POSITIVE_INFINITY);
    try {
      await pool.query("SELECT usage_ready_days($1::date[])", [unknown]);
    } catch (error) {
      for (const day of unknown) askedAt.set(day, now);
      log.warn({ err: error, days: unknown }, "partitions of days gone by wait for the housekeeping");
    }
  };
}
