import type { Queryable } from "../../../platform/postgres.ts";
import type { Rules } from "../plan.ts";

export type SharedScope = "global" | "ip" | "model";
export type Mode = "enforce" | "shadow";

/** What a row is about; there is one row for each. */
export interface Target {
  scope: SharedScope;
  /** A model's name; null for every model, and for other scopes. */
  model: string | null;
  mode: Mode;
}

export interface LimitFields extends Target {
  limits: Rules;
  token_weight_percent: number | null;
}

export interface LimitRow extends LimitFields {
  id: string;
  created_at: Date;
  updated_at: Date;
}

const COLUMNS = "id, scope, model, mode, limits, token_weight_percent, created_at, updated_at";

export async function allLimits(db: Queryable): Promise<LimitRow[]> {
  const { rows } = await db.query<LimitRow>(`SELECT ${COLUMNS} FROM gateway_limits`);
  return rows;
}

export async function findLimit(db: Queryable, id: string): Promise<LimitRow | undefined> {
  const { rows } = await db.query<LimitRow>(`SELECT ${COLUMNS} FROM gateway_limits WHERE id = $1`, [id]);
  return rows[0];
}

/** A page of rows: all calls first, then addresses, then models by name. */
export async function listLimits(
  db: Queryable,
  filter: { scope: SharedScope | undefined; mode: Mode | undefined; limit: number; offset: number },
): Promise<{ items: LimitRow[]; total: number }> {
  const where = "WHERE ($1::text IS NULL OR scope = $1) AND ($2::text IS NULL OR mode = $2)";
  const values = [filter.scope ?? null, filter.mode ?? null];
  const total = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM gateway_limits ${where}`, values);
  const { rows } = await db.query<LimitRow>(
    `SELECT ${COLUMNS} FROM gateway_limits ${where} ORDER BY scope, coalesce(model, ''), mode LIMIT $3 OFFSET $4`,
    [...values, filter.limit, filter.offset],
  );
  return { items: rows, total: Number(total.rows[0]?.total ?? 0n) };
}

/** Writes the row of a target, new or in place of the one that is there. */
export async function putLimit(tx: Queryable, id: string, fields: LimitFields): Promise<LimitRow> {
  const { rows } = await tx.query<LimitRow>(
    `INSERT INTO gateway_limits (id, scope, model, mode, limits, token_weight_percent) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (scope, coalesce(model, ''), mode)
     DO UPDATE SET limits = excluded.limits, token_weight_percent = excluded.token_weight_percent, updated_at = now()
     RETURNING ${COLUMNS}`,
    [id, fields.scope, fields.model, fields.mode, JSON.stringify(fields.limits), fields.token_weight_percent],
  );
  return rows[0]!;
}

/** The row that was there, or undefined. */
export async function deleteLimit(tx: Queryable, id: string): Promise<LimitRow | undefined> {
  const { rows } = await tx.query<LimitRow>(`DELETE FROM gateway_limits WHERE id = $1 RETURNING ${COLUMNS}`, [id]);
  return rows[0];
}
