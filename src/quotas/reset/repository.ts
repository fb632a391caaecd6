import type { Queryable } from "../../platform/postgres.ts";
import type { Period, Terms } from "../calendar.ts";

/** A subscription that has periods to be opened. */
export interface DueRow {
  user_id: string;
  wallet_id: bigint;
  opened_until: Date | null;
  created_at: Date;
  terms: Terms[] | null;
}

export interface PeriodRow {
  user_id: string;
  wallet_id: bigint;
  starts_at: Date;
  ends_at: Date;
  plan: string;
  plan_version: number;
  granted: bigint;
  grants: number;
}

/** A period that is to be opened. */
export interface NewPeriod extends Period {
  userId: string;
  walletId: bigint;
  plan: string;
  planVersion: number;
  granted: bigint;
}

/** What is in force in a period now, and what was granted for it. */
export interface ChangedPeriod {
  userId: string;
  startsAt: Date;
  plan: string;
  planVersion: number;
  granted: bigint;
  grants: number;
  standardNo: bigint;
}

const PERIOD = "p.user_id, p.wallet_id, p.starts_at, p.ends_at, p.plan, p.plan_version, p.granted, p.grants";
const DUE = "(opened_until IS NULL OR opened_until <= $1)";

/** Terms of users as they are now. Asked after their rows are locked: what was committed until then is in them. */
async function termsOf(tx: Queryable, userIds: readonly string[]): Promise<Map<string, Terms[] | null>> {
  const { rows } = await tx.query<{ user_id: string; terms: Terms[] | null }>(
    "SELECT user_id, quota_terms(user_id) AS terms FROM unnest($1::uuid[]) AS q (user_id)",
    [userIds],
  );
  return new Map(rows.map(({ user_id, terms }) => [user_id, terms]));
}

async function withTerms(tx: Queryable, rows: readonly Omit<DueRow, "terms">[]): Promise<DueRow[]> {
  if (rows.length === 0) return [];
  const terms = await termsOf(
    tx,
    rows.map(({ user_id }) => user_id),
  );
  return rows.map((row) => ({ ...row, terms: terms.get(row.user_id) ?? null }));
}

/** Takes subscriptions whose next period has begun, longest overdue first; those that somebody else has are passed over. */
export async function takeDue(tx: Queryable, now: Date, limit: number): Promise<DueRow[]> {
  const { rows } = await tx.query<Omit<DueRow, "terms">>(
    `SELECT user_id, wallet_id, opened_until, created_at FROM subscriptions
     WHERE ${DUE} ORDER BY opened_until NULLS FIRST LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [now, limit],
  );
  return withTerms(tx, rows);
}

/** The same, without taking them, for a look at what is to come. */
export async function lookAtDue(db: Queryable, now: Date, limit: number): Promise<{ rows: DueRow[]; total: number }> {
  const { rows } = await db.query<DueRow>(
    `SELECT user_id, wallet_id, opened_until, created_at, quota_terms(user_id) AS terms FROM subscriptions
     WHERE ${DUE} ORDER BY opened_until NULLS FIRST LIMIT $2`,
    [now, limit],
  );
  const count = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM subscriptions WHERE ${DUE}`, [now]);
  return { rows, total: Number(count.rows[0]!.total) };
}

/** Takes one subscription, due or not; undefined for nobody's. */
export async function takeSubscription(tx: Queryable, userId: string): Promise<DueRow | undefined> {
  const { rows } = await tx.query<Omit<DueRow, "terms">>(
    "SELECT user_id, wallet_id, opened_until, created_at FROM subscriptions WHERE user_id = $1 FOR UPDATE",
    [userId],
  );
  return (await withTerms(tx, rows))[0];
}

/**
 * Writes periods, each once; answers those that were not there. `standardNo`: of the book they follow from. `graceMs` after its end a
 * period's statement may be written. Fails when one does not begin where the one before it ends.
 */
export async function insertPeriods(
  tx: Queryable,
  periods: readonly NewPeriod[],
  standardNo: bigint,
  graceMs: number,
): Promise<{ user_id: string; starts_at: Date }[]> {
  const column = <T>(pick: (period: NewPeriod) => T) => periods.map(pick);
  const { rows } = await tx.query<{ user_id: string; starts_at: Date }>(
    `INSERT INTO subscription_periods (user_id, wallet_id, starts_at, ends_at, plan, plan_version, granted, grants, standard_no, statement_due_at)
     SELECT user_id, wallet_id, starts_at, ends_at, plan, version, granted, (granted > 0)::integer, $8,
       ends_at + $9::float8 * interval '1 millisecond'
     FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::integer[], $7::bigint[])
       AS q (user_id, wallet_id, starts_at, ends_at, plan, version, granted)
     ON CONFLICT (user_id, starts_at) DO NOTHING RETURNING user_id, starts_at`,
    [
      column(({ userId }) => userId),
      column(({ walletId }) => walletId),
      column(({ fromMs }) => new Date(fromMs)),
      column(({ untilMs }) => new Date(untilMs)),
      column(({ plan }) => plan),
      column(({ planVersion }) => planVersion),
      column(({ granted }) => granted),
      standardNo,
      graceMs,
    ],
  );
  return rows;
}

/** Notes until when periods are open: of each user, until the last of them ends. */
export async function noteOpened(tx: Queryable, opened: readonly { userId: string; untilMs: number }[]): Promise<void> {
  await tx.query(
    `UPDATE subscriptions s SET opened_until = q.until
     FROM (SELECT user_id, max(until) AS until FROM unnest($1::uuid[], $2::timestamptz[]) AS q (user_id, until) GROUP BY user_id) q
     WHERE s.user_id = q.user_id`,
    [opened.map(({ userId }) => userId), opened.map(({ untilMs }) => new Date(untilMs))],
  );
}

/** The period of a user that is open now. */
export async function takePresentPeriod(tx: Queryable, userId: string, now: Date): Promise<PeriodRow | undefined> {
  const { rows } = await tx.query<PeriodRow>(
    `SELECT ${PERIOD} FROM subscription_periods p WHERE user_id = $1 AND starts_at <= $2 AND ends_at > $2 FOR UPDATE`,
    [userId, now],
  );
  return rows[0];
}

interface PeriodKey {
  user_id: string;
  starts_at: Date;
}

/** Open periods whose plan has a newer version that counts in them: at once, or since before they began. */
const BEHIND_THEIR_PLAN = `SELECT p.user_id, p.starts_at
  FROM plan_versions v JOIN subscription_periods p ON p.plan = v.plan AND p.plan_version < v.version AND p.ends_at > $1
  WHERE v.created_at <= p.starts_at OR (v.change_takes_effect = 'now' AND v.created_at <= $1)
  LIMIT $2 FOR UPDATE OF p SKIP LOCKED`;

/** Open periods of those who have the standard plan, which is another one, or has other terms, since they were opened. */
const BEHIND_THE_STANDARD = `SELECT p.user_id, p.starts_at FROM subscription_periods p
  WHERE p.ends_at > $1 AND p.standard_no < (SELECT max(no) FROM standard_terms WHERE from_at <= $1)
    AND NOT EXISTS (SELECT FROM subscription_terms t WHERE t.user_id = p.user_id)
  LIMIT $2 FOR UPDATE OF p SKIP LOCKED`;

/** Takes open periods in which something else counts than when they were opened, and the terms of their users. */
export async function takeChanged(tx: Queryable, now: Date, limit: number): Promise<{ row: PeriodRow; terms: Terms[] | null }[]> {
  const behind = (await tx.query<PeriodKey>(BEHIND_THEIR_PLAN, [now, limit])).rows;
  const keys = behind.length > 0 ? behind : (await tx.query<PeriodKey>(BEHIND_THE_STANDARD, [now, limit])).rows;
  if (keys.length === 0) return [];
  // Read again now that nobody else changes them; a period that several versions are newer than is one.
  const { rows } = await tx.query<PeriodRow>(
    `SELECT ${PERIOD} FROM subscription_periods p
     WHERE (p.user_id, p.starts_at) IN (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]))`,
    [keys.map(({ user_id }) => user_id), keys.map(({ starts_at }) => starts_at)],
  );
  const terms = await termsOf(
    tx,
    rows.map(({ user_id }) => user_id),
  );
  return rows.map((row) => ({ row, terms: terms.get(row.user_id) ?? null }));
}

/** Notes what is in force in periods now, and what was granted for them. */
export async function noteChanged(tx: Queryable, changed: readonly ChangedPeriod[]): Promise<void> {
  const column = <T>(pick: (period: ChangedPeriod) => T) => changed.map(pick);
  await tx.query(
    `UPDATE subscription_periods p SET plan = q.plan, plan_version = q.version, granted = q.granted, grants = q.grants, standard_no = q.standard_no
     FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::integer[], $5::bigint[], $6::integer[], $7::bigint[])
       AS q (user_id, starts_at, plan, version, granted, grants, standard_no)
     WHERE p.user_id = q.user_id AND p.starts_at = q.starts_at`,
    [
      column(({ userId }) => userId),
      column(({ startsAt }) => startsAt),
      column(({ plan }) => plan),
      column(({ planVersion }) => planVersion),
      column(({ granted }) => granted),
      column(({ grants }) => grants),
      column(({ standardNo }) => standardNo),
    ],
  );
}
