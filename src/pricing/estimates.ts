import { announce } from "../platform/invalidation.ts";
import type { Queryable } from "../platform/postgres.ts";

/** How far our count of a model's prompts is off, in percent: holds are made with this factor instead of the general one. */
export interface SafetyFactor {
  model: string;
  /** From 100 to 300. */
  percent: number;
  /** How many calls it comes from. */
  calls: number;
}

/** Keeps new factors, telling every copy of the api when one differs. Names that are no model's are passed over. */
export async function keepSafetyFactors(tx: Queryable, factors: readonly SafetyFactor[]): Promise<void> {
  const { rows } = await tx.query<{ model: string; safety_percent: number }>("SELECT model, safety_percent FROM model_estimates");
  const before = new Map(rows.map((row) => [row.model, row.safety_percent]));
  await tx.query(
    `INSERT INTO model_estimates AS e (model, safety_percent, calls, computed_at)
     SELECT f.model, f.percent, f.calls, now() FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS f(model, percent, calls)
     JOIN models m ON m.name = f.model
     ON CONFLICT (model) DO UPDATE SET safety_percent = excluded.safety_percent, calls = excluded.calls, computed_at = excluded.computed_at`,
    [factors.map(({ model }) => model), factors.map(({ percent }) => percent), factors.map(({ calls }) => calls)],
  );
  if (factors.some(({ model, percent }) => before.get(model) !== percent)) await announce(tx, "model", "*");
}
