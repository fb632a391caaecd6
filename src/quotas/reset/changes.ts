import type { Queryable } from "../../platform/postgres.ts";
import type { Terms } from "../calendar.ts";
import { PERIOD, termsOf, type PeriodRow } from "./repository.ts";

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

interface PeriodKey {
  user_id: string;
  starts_at: Date;
}

/** Open periods whose plan has a newer version that counts in them: at once, or since before they began. */
const BEHIND_THEIR_PLAN = `SELECT p.user_id, p.starts_at
  FROM plan_versions v JOIN subscription_periods p ON p.plan = v.plan AND p.plan_version < v.version AND p.ends_at > $1
  WHERE v.created_at <= p.starts_at OR (v.change_takes_effect = 'now' AND v.created_at <= $1)
  LIMIT $2 FOR NO KEY UPDATE OF p SKIP LOCKED`;

/** Open periods of those who have the standard plan, which is another one, or has other terms, since they were opened. */
const BEHIND_THE_STANDARD = `SELECT p.user_id, p.starts_at FROM subscription_periods p
  WHERE p.ends_at > $1 AND p.standard_no < (SELECT max(no) FROM standard_terms WHERE from_at <= $1)
    AND NOT EXISTS (SELECT FROM subscription_terms t WHERE t.user_id = p.user_id)
  LIMIT $2 FOR NO KEY UPDATE OF p SKIP LOCKED`;

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
