import type { Queryable } from "../../platform/postgres.ts";
import type { TakesEffect } from "../planBook.ts";
import type { Limits } from "../tiers.ts";

export interface PlanRow {
  name: string;
  position: number;
  status: "active" | "retired";
  standard: boolean;
  version: number;
  display_name: string;
  description: string;
  price_fen: bigint;
  allowance: bigint;
  limits: Limits;
  weights: Record<string, number>;
  reset_day: number;
  time_zone: string;
  change_takes_effect: TakesEffect;
  author_id: string | null;
  reason: string | null;
  created_at: Date;
}

/** What a version says; a new version says all of it. */
export type PlanFields = Pick<
  PlanRow,
  "display_name" | "description" | "price_fen" | "allowance" | "limits" | "weights" | "reset_day" | "time_zone" | "change_takes_effect"
>;

const VERSION = `v.version, v.display_name, v.description, v.price_fen, v.allowance, v.limits, v.weights, v.reset_day, v.time_zone,
  v.change_takes_effect, v.author_id, v.reason, v.created_at`;
export const PLAN = `p.name, p.position, p.status, p.standard, ${VERSION}`;
const NEWEST = "JOIN LATERAL (SELECT * FROM plan_versions WHERE plan = p.name ORDER BY version DESC LIMIT 1) v ON true";

/** Plans as they are now, by position. */
export async function listPlans(db: Queryable, page: { limit: number; offset: number }): Promise<{ items: PlanRow[]; total: number }> {
  const { rows } = await db.query<PlanRow>(`SELECT ${PLAN} FROM plans p ${NEWEST} ORDER BY p.position, p.name LIMIT $1 OFFSET $2`, [
    page.limit,
    page.offset,
  ]);
  const count = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM plans");
  return { items: rows, total: Number(count.rows[0]!.total) };
}

export async function findPlan(db: Queryable, name: string): Promise<PlanRow | undefined> {
  const { rows } = await db.query<PlanRow>(`SELECT ${PLAN} FROM plans p ${NEWEST} WHERE p.name = $1`, [name]);
  return rows[0];
}

/** All versions of a plan, newest first. */
export async function listVersions(
  db: Queryable,
  name: string,
  page: { limit: number; offset: number },
): Promise<{ items: PlanRow[]; total: number }> {
  const { rows } = await db.query<PlanRow>(
    `SELECT ${PLAN} FROM plans p JOIN plan_versions v ON v.plan = p.name WHERE p.name = $1 ORDER BY v.version DESC LIMIT $2 OFFSET $3`,
    [name, page.limit, page.offset],
  );
  const count = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM plan_versions WHERE plan = $1", [name]);
  return { items: rows, total: Number(count.rows[0]!.total) };
}

/** Takes a plan for a change. Changes of plans go one after the other, as each may be one of the standard plan. */
export async function lockPlan(tx: Queryable, name: string): Promise<PlanRow | undefined> {
  await tx.query("LOCK TABLE standard_terms IN SHARE ROW EXCLUSIVE MODE");
  await tx.query("SELECT FROM plans WHERE name = $1 FOR UPDATE", [name]);
  return findPlan(tx, name);
}

/** False when the name is taken. */
export async function insertPlan(tx: Queryable, plan: { name: string; position: number }): Promise<boolean> {
  const { rowCount } = await tx.query("INSERT INTO plans (name, position) VALUES ($1, $2) ON CONFLICT DO NOTHING", [
    plan.name,
    plan.position,
  ]);
  return rowCount === 1;
}

export async function updatePlan(tx: Queryable, plan: Pick<PlanRow, "name" | "position" | "status" | "standard">): Promise<void> {
  if (plan.standard) await tx.query("UPDATE plans SET standard = false WHERE standard AND name <> $1", [plan.name]);
  await tx.query("UPDATE plans SET position = $2, status = $3, standard = $4 WHERE name = $1", [
    plan.name,
    plan.position,
    plan.status,
    plan.standard,
  ]);
}

export async function insertVersion(
  tx: Queryable,
  plan: string,
  version: number,
  fields: PlanFields,
  by: { authorId: string; reason: string | null; at: Date },
): Promise<void> {
  await tx.query(
    `INSERT INTO plan_versions (plan, version, display_name, description, price_fen, allowance, limits, weights, reset_day, time_zone,
       change_takes_effect, author_id, reason, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
    [
      plan,
      version,
      fields.display_name,
      fields.description,
      fields.price_fen,
      fields.allowance,
      JSON.stringify(fields.limits),
      JSON.stringify(fields.weights),
      fields.reset_day,
      fields.time_zone,
      fields.change_takes_effect,
      by.authorId,
      by.reason,
      by.at,
    ],
  );
}
