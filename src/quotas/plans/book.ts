import type { Queryable } from "../../platform/postgres.ts";
import type { Terms } from "../calendar.ts";
import type { PlanBook, PlanVersion } from "../planBook.ts";
import { PLAN, type PlanRow } from "./repository.ts";

interface StandardRow {
  no: bigint;
  from_at: Date;
  plan: string;
  reset_day: number;
  time_zone: string;
}

/** Every plan with every version, and the terms of the standard plan, for calculating. */
export async function readBook(db: Queryable): Promise<PlanBook> {
  // First, so that every plan they name is among those read after them.
  const standard = await db.query<StandardRow>("SELECT no, from_at, plan, reset_day, time_zone FROM standard_terms ORDER BY from_at");
  const { rows } = await db.query<PlanRow>(
    `SELECT ${PLAN} FROM plans p JOIN plan_versions v ON v.plan = p.name ORDER BY p.name, v.version`,
  );
  const versions = new Map<string, PlanVersion[]>();
  for (const row of rows) versions.set(row.name, [...(versions.get(row.name) ?? []), versionOf(row)]);
  return {
    standard: standard.rows.map((row) => ({
      fromMs: row.from_at.getTime(),
      plan: row.plan,
      resetDay: row.reset_day,
      timeZone: row.time_zone,
      no: row.no,
    })),
    versions,
  };
}

function versionOf(row: PlanRow): PlanVersion {
  return {
    plan: row.name,
    version: row.version,
    allowance: row.allowance,
    limits: row.limits,
    weights: row.weights,
    resetDay: row.reset_day,
    timeZone: row.time_zone,
    takesEffect: row.change_takes_effect,
    createdMs: row.created_at.getTime(),
  };
}

/** Writes the standard plan's terms from a moment on, in place of what was to begin then or later. */
export async function replaceStandard(
  tx: Queryable,
  fromMs: number,
  terms: readonly Terms[],
  by: { authorId: string; reason: string | null },
): Promise<void> {
  await tx.query("DELETE FROM standard_terms WHERE from_at >= $1", [new Date(fromMs)]);
  await tx.query(
    `INSERT INTO standard_terms (from_at, plan, reset_day, time_zone, author_id, reason)
     SELECT q.*, $5::uuid, $6::text FROM unnest($1::timestamptz[], $2::text[], $3::smallint[], $4::text[]) AS q`,
    [
      terms.map((one) => new Date(one.fromMs)),
      terms.map(({ plan }) => plan),
      terms.map(({ resetDay }) => resetDay),
      terms.map(({ timeZone }) => timeZone),
      by.authorId,
      by.reason,
    ],
  );
}
