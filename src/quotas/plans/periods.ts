import { formatCredits } from "../../platform/credits.ts";
import type { Queryable } from "../../platform/postgres.ts";

interface Row {
  starts_at: Date;
  ends_at: Date;
  plan: string;
  plan_version: number;
  granted: bigint;
  opened_at: Date;
  stated_at: Date | null;
}

/** A page of a user's periods as answers show them, newest first. */
export async function listPeriods(db: Queryable, userId: string, page: { limit: number; offset: number }) {
  const { rows } = await db.query<Row>(
    `SELECT starts_at, ends_at, plan, plan_version, granted, opened_at, stated_at FROM subscription_periods
     WHERE user_id = $1 ORDER BY starts_at DESC LIMIT $2 OFFSET $3`,
    [userId, page.limit, page.offset],
  );
  const count = await db.query<{ total: bigint }>("SELECT count(*) AS total FROM subscription_periods WHERE user_id = $1", [userId]);
  const items = rows.map((row) => ({
    ...row,
    starts_at: row.starts_at.toISOString(),
    ends_at: row.ends_at.toISOString(),
    granted: formatCredits(row.granted),
    opened_at: row.opened_at.toISOString(),
    stated_at: row.stated_at?.toISOString() ?? null,
  }));
  return { items, total: Number(count.rows[0]!.total) };
}
