import type { Queryable } from "../../platform/postgres.ts";
import type { DaysTaken, TakenDay } from "./days.ts";

/** A day as the database holds it. Amounts in micro-credits. */
export interface CheckInRow {
  /** "2026-11-21" */
  day: string;
  kind: "checkin" | "makeup";
  time_zone: string;
  streak: number;
  reward: bigint;
  price: bigint;
  balance_after: bigint;
  created_at: Date;
}

export interface NewCheckIn extends CheckInRow {
  user_id: string;
  request_key: string | null;
}

const COLUMNS = "to_char(day, 'YYYY-MM-DD') AS day, kind, time_zone, streak, reward, price, balance_after, created_at";

const taken = (row: CheckInRow | undefined): TakenDay | undefined =>
  row && { day: row.day, timeZone: row.time_zone, at: row.created_at, streak: row.streak };

/** One check-in or made-up day of a person at a time, so that the rules see what the one before wrote. */
export async function lockDays(tx: Queryable, userId: string): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`checkin ${userId}`]);
}

/** What the rules look at. */
export async function daysTaken(db: Queryable, userId: string): Promise<DaysTaken> {
  const { rows } = await db.query<CheckInRow>(
    `(SELECT ${COLUMNS} FROM checkins WHERE user_id = $1 ORDER BY checkins.day DESC LIMIT 1)
     UNION ALL
     (SELECT ${COLUMNS} FROM checkins WHERE user_id = $1 AND kind = 'checkin' ORDER BY checkins.day DESC LIMIT 1)`,
    [userId],
  );
  return { newest: taken(rows[0]), lastCheckIn: taken(rows.findLast((row) => row.kind === "checkin")) };
}

export async function findByRequest(db: Queryable, userId: string, requestKey: string): Promise<CheckInRow | undefined> {
  const { rows } = await db.query<CheckInRow>(`SELECT ${COLUMNS} FROM checkins WHERE user_id = $1 AND request_key = $2`, [
    userId,
    requestKey,
  ]);
  return rows[0];
}

export async function insertCheckIn(tx: Queryable, row: NewCheckIn): Promise<void> {
  await tx.query(
    `INSERT INTO checkins (user_id, day, kind, time_zone, streak, reward, price, balance_after, request_key, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [row.user_id, row.day, row.kind, row.time_zone, row.streak, row.reward, row.price, row.balance_after, row.request_key, row.created_at],
  );
}

/** Writes another balance into the row of a day. */
export async function correctBalance(tx: Queryable, userId: string, day: string, balance: bigint): Promise<void> {
  await tx.query("UPDATE checkins SET balance_after = $3 WHERE user_id = $1 AND day = $2", [userId, day, balance]);
}

/** Days from `from` to `to`, both included, oldest first. */
export async function daysBetween(db: Queryable, userId: string, from: string, to: string): Promise<CheckInRow[]> {
  const { rows } = await db.query<CheckInRow>(
    `SELECT ${COLUMNS} FROM checkins WHERE user_id = $1 AND day BETWEEN $2 AND $3 ORDER BY checkins.day`,
    [userId, from, to],
  );
  return rows;
}

/** Newest first. */
export async function listDays(
  db: Queryable,
  userId: string,
  page: { page: number; page_size: number },
): Promise<{ items: CheckInRow[]; total: number }> {
  const total = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM checkins WHERE user_id = $1", [userId]);
  const { rows } = await db.query<CheckInRow>(
    `SELECT ${COLUMNS} FROM checkins WHERE user_id = $1 ORDER BY checkins.day DESC LIMIT $2 OFFSET $3`,
    [userId, page.page_size, (page.page - 1) * page.page_size],
  );
  return { items: rows, total: Number(total.rows[0]!.total) };
}

/** Days that were made up since `since`. */
export async function countMadeUp(db: Queryable, userId: string, since: Date): Promise<number> {
  const { rows } = await db.query<{ count: bigint }>(
    "SELECT count(*) AS count FROM checkins WHERE user_id = $1 AND kind = 'makeup' AND created_at >= $2",
    [userId, since],
  );
  return Number(rows[0]!.count);
}

/** Days from `from` to `to` follow on what was made up before them: their place in the row is so much later. What they paid stays. */
export async function lengthenStreaks(tx: Queryable, userId: string, from: string, to: string, by: number): Promise<void> {
  await tx.query("UPDATE checkins SET streak = streak + $4 WHERE user_id = $1 AND day BETWEEN $2 AND $3", [userId, from, to, by]);
}
