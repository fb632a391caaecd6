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

/** What a {@link PeriodRow} is read by. */
export const PERIOD = "p.user_id, p.wallet_id, p.starts_at, p.ends_at, p.plan, p.plan_version, p.granted, p.grants";
const DUE = "(opened_until IS NULL OR opened_until <= $1)";

/** Terms of users as they are now. Asked after their rows are locked: what was committed until then is in them. */
export async function termsOf(tx: Queryable, userIds: readonly string[]): Promise<Map<string, Terms[] | null>> {
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
 * Writes periods, each once; answers those that were not there. `standardNo`: of the standard terms in force. `graceMs` after its end a
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
    `SELECT ${PERIOD} FROM subscription_periods p WHERE user_id = $1 AND starts_at <= $2 AND ends_at > $2 FOR NO KEY UPDATE`,
    [userId, now],
  );
  return rows[0];
}
