import type { Queryable } from "../../platform/postgres.ts";
import type { Span, Terms } from "../calendar.ts";

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
export interface NewPeriod extends Span {
  userId: string;
  walletId: bigint;
  plan: string;
  planVersion: number;
  granted: bigint;
}

const PERIOD = "p.user_id, p.wallet_id, p.starts_at, p.ends_at, p.plan, p.plan_version, p.granted, p.grants";
const DUE = "(opened_until IS NULL OR opened_until <= $1)";

/** Takes subscriptions whose next period has begun, longest overdue first; those that somebody else has are passed over. */
export async function takeDue(tx: Queryable, now: Date, limit: number): Promise<DueRow[]> {
  const { rows } = await tx.query<DueRow>(
    `SELECT user_id, wallet_id, opened_until, created_at, quota_terms(user_id) AS terms FROM subscriptions
     WHERE ${DUE} ORDER BY opened_until NULLS FIRST LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [now, limit],
  );
  return rows;
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
  const { rows } = await tx.query<DueRow>(
    "SELECT user_id, wallet_id, opened_until, created_at, quota_terms(user_id) AS terms FROM subscriptions WHERE user_id = $1 FOR UPDATE",
    [userId],
  );
  return rows[0];
}

/** Writes periods, each once; answers those that were not there. `graceMs` after its end a period's statement may be written. */
export async function insertPeriods(
  tx: Queryable,
  periods: readonly NewPeriod[],
  graceMs: number,
): Promise<{ user_id: string; starts_at: Date }[]> {
  const column = <T>(pick: (period: NewPeriod) => T) => periods.map(pick);
  const { rows } = await tx.query<{ user_id: string; starts_at: Date }>(
    `INSERT INTO subscription_periods (user_id, wallet_id, starts_at, ends_at, plan, plan_version, granted, grants, statement_due_at)
     SELECT user_id, wallet_id, starts_at, ends_at, plan, version, granted, (granted > 0)::integer, ends_at + $8::float8 * interval '1 millisecond'
     FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::integer[], $7::bigint[])
       AS q (user_id, wallet_id, starts_at, ends_at, plan, version, granted)
     ON CONFLICT DO NOTHING RETURNING user_id, starts_at`,
    [
      column(({ userId }) => userId),
      column(({ walletId }) => walletId),
      column(({ fromMs }) => new Date(fromMs)),
      column(({ untilMs }) => new Date(untilMs)),
      column(({ plan }) => plan),
      column(({ planVersion }) => planVersion),
      column(({ granted }) => granted),
      graceMs,
    ],
  );
  return rows;
}

/** Notes until when periods are open. */
export async function noteOpened(tx: Queryable, opened: readonly { userId: string; untilMs: number }[]): Promise<void> {
  await tx.query(
    `UPDATE subscriptions s SET opened_until = q.until FROM unnest($1::uuid[], $2::timestamptz[]) AS q (user_id, until) WHERE s.user_id = q.user_id`,
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

/** Takes open periods whose plan has a newer version that counts at once. */
export async function takeChanged(tx: Queryable, now: Date, limit: number): Promise<(PeriodRow & { terms: Terms[] | null })[]> {
  const { rows } = await tx.query<PeriodRow & { terms: Terms[] | null }>(
    `SELECT ${PERIOD}, quota_terms(p.user_id) AS terms
     FROM plan_versions v JOIN subscription_periods p ON p.plan = v.plan AND p.plan_version < v.version AND p.ends_at > $1
     WHERE v.change_takes_effect = 'now' AND v.created_at <= $1 AND v.created_at > p.starts_at
       AND v.version = (SELECT max(version) FROM plan_versions m WHERE m.plan = v.plan AND m.change_takes_effect = 'now' AND m.created_at <= $1)
     LIMIT $2 FOR UPDATE OF p SKIP LOCKED`,
    [now, limit],
  );
  return rows;
}

/** Notes what is in force in a period now, and what was granted for it. */
export async function noteChanged(
  tx: Queryable,
  period: Pick<PeriodRow, "user_id" | "starts_at">,
  now: { plan: string; planVersion: number; granted: bigint; grants: number },
): Promise<void> {
  await tx.query(
    "UPDATE subscription_periods SET plan = $3, plan_version = $4, granted = $5, grants = $6 WHERE user_id = $1 AND starts_at = $2",
    [period.user_id, period.starts_at, now.plan, now.planVersion, now.granted, now.grants],
  );
}
