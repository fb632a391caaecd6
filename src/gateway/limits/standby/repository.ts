import type { Queryable } from "../../../platform/postgres.ts";

export interface WindowRow {
  id: string;
  startMs: number;
  current: number;
  previous: number;
}

export interface PermitRow {
  counter: string;
  callId: string;
}

/** Any number that nothing else locks. */
const LOCK = 7_046_029_254;

/** One batch at a time, of all copies. Held until the transaction ends. */
export async function lockCounters(tx: Queryable): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock($1)", [LOCK]);
}

export async function readWindows(tx: Queryable, ids: string[]): Promise<WindowRow[]> {
  const { rows } = await tx.query<{ id: string; start_ms: bigint; current: bigint; previous: bigint }>(
    "SELECT id, start_ms, current, previous FROM limit_windows WHERE id = ANY($1)",
    [ids],
  );
  return rows.map((row) => ({ id: row.id, startMs: Number(row.start_ms), current: Number(row.current), previous: Number(row.previous) }));
}

export async function writeWindows(tx: Queryable, rows: readonly WindowRow[]): Promise<void> {
  await tx.query(
    `INSERT INTO limit_windows (id, start_ms, current, previous) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
     ON CONFLICT (id) DO UPDATE SET start_ms = excluded.start_ms, current = excluded.current, previous = excluded.previous`,
    [
      rows.map(({ id }) => id),
      rows.map(({ startMs }) => startMs),
      rows.map(({ current }) => current),
      rows.map(({ previous }) => previous),
    ],
  );
}

/** How many calls run, by counter. */
export async function countPermits(tx: Queryable, counters: string[], nowMs: number): Promise<[counter: string, running: number][]> {
  const { rows } = await tx.query<{ counter: string; running: bigint }>(
    "SELECT counter, count(*) AS running FROM limit_permits WHERE counter = ANY($1) AND until_ms > $2 GROUP BY counter",
    [counters, nowMs],
  );
  return rows.map(({ counter, running }) => [counter, Number(running)]);
}

export async function addPermits(tx: Queryable, rows: readonly PermitRow[], owner: string, untilMs: number): Promise<void> {
  await tx.query(
    `INSERT INTO limit_permits (counter, call_id, owner, until_ms) SELECT *, $3, $4::bigint FROM unnest($1::text[], $2::text[])
     ON CONFLICT (counter, call_id) DO UPDATE SET owner = excluded.owner, until_ms = excluded.until_ms`,
    [rows.map(({ counter }) => counter), rows.map(({ callId }) => callId), owner, untilMs],
  );
}

export async function removePermits(tx: Queryable, rows: readonly PermitRow[]): Promise<void> {
  await tx.query(
    "DELETE FROM limit_permits p USING unnest($1::text[], $2::text[]) AS gone (counter, call_id) WHERE p.counter = gone.counter AND p.call_id = gone.call_id",
    [rows.map(({ counter }) => counter), rows.map(({ callId }) => callId)],
  );
}

export async function renewPermits(tx: Queryable, owner: string, untilMs: number): Promise<void> {
  await tx.query("UPDATE limit_permits SET until_ms = $2 WHERE owner = $1", [owner, untilMs]);
}

/** Removes what one copy has left from an earlier time, and what nobody needs any more. */
export async function clear(tx: Queryable, owner: string, times: { nowMs: number; windowsBeforeMs: number }): Promise<void> {
  await tx.query("DELETE FROM limit_permits WHERE owner = $1 OR until_ms <= $2", [owner, times.nowMs]);
  await tx.query("DELETE FROM limit_windows WHERE start_ms < $1", [times.windowsBeforeMs]);
}

/** A copy that was not seen for this long is gone. */
const COPY_GONE = "12 seconds";
/** Copies notice an absence within this time of each other. What was told earlier belongs to one before. */
const TOLD_BEFORE = "1 second";

/** This copy is there; `told` when it has put in what it knows. */
export async function noteCopy(db: Queryable, owner: string, told: boolean): Promise<void> {
  await db.query(
    `INSERT INTO limit_copies (owner, told_at) VALUES ($1, CASE WHEN $2 THEN clock_timestamp() ELSE '-infinity' END)
     ON CONFLICT (owner) DO UPDATE SET seen_at = now(), told_at = greatest(limit_copies.told_at, excluded.told_at)`,
    [owner, told],
  );
}

/** This copy cannot use Redis, for so long from now unless it says so again. */
export async function noteAway(db: Queryable, owner: string, forMs: number): Promise<void> {
  await db.query(
    `INSERT INTO limit_copies (owner, away_until) VALUES ($1, now() + $2 * interval '1 millisecond')
     ON CONFLICT (owner) DO UPDATE SET seen_at = now(), away_until = excluded.away_until`,
    [owner, forMs],
  );
}

export async function anyAway(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ away: boolean }>("SELECT EXISTS (SELECT 1 FROM limit_copies WHERE away_until > now()) AS away");
  return rows[0]!.away;
}

/** Whether every copy has put in what it knows; `sinceMs` ago this one noticed the absence. */
export async function allTold(db: Queryable, sinceMs: number): Promise<boolean> {
  const { rows } = await db.query<{ all_told: boolean }>(
    `SELECT NOT EXISTS (
       SELECT 1 FROM limit_copies
       WHERE seen_at > now() - interval '${COPY_GONE}' AND told_at < now() - $1 * interval '1 millisecond' - interval '${TOLD_BEFORE}'
     ) AS all_told`,
    [sinceMs],
  );
  return rows[0]!.all_told;
}

export async function forgetCopy(db: Queryable, owner: string): Promise<void> {
  await db.query("DELETE FROM limit_copies WHERE owner = $1 OR seen_at < now() - interval '1 day'", [owner]);
}
