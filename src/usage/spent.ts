import type { Queryable } from "../platform/postgres.ts";

const HOUR_MS = 3_600_000;
const OWNERS: Record<string, string> = { key: "key_id", user: "user_id" };

/**
 * What the calls of a key or a user (`key:<uuid>`, `user:<uuid>`) that began since a moment were charged so far, in micro-credits: whole
 * hours from the roll-ups, the part of one before them (where a day begins at half past) from the calls. 0 for anybody else.
 */
export async function spentSince(db: Queryable, owner: string, since: Date): Promise<bigint> {
  const [kind = "", id] = owner.split(":");
  const column = OWNERS[kind];
  if (!column) return 0n;
  const firstHour = new Date(Math.ceil(since.getTime() / HOUR_MS) * HOUR_MS);
  const whole = await db.query<{ spent: bigint }>(
    `SELECT coalesce(sum(cost), 0)::bigint AS spent FROM usage_hourly WHERE ${column} = $1 AND hour >= $2`,
    [id, firstHour],
  );
  const spent = whole.rows[0]!.spent;
  if (firstHour.getTime() === since.getTime()) return spent;
  const part = await db.query<{ spent: bigint }>(
    `SELECT coalesce(sum(cost), 0)::bigint AS spent FROM usage_events
     WHERE user_id = ${kind === "user" ? "$1" : "(SELECT user_id FROM usage_hourly WHERE key_id = $1 LIMIT 1)"} AND ${column} = $1
       AND created_at >= $2 AND created_at < $3`,
    [id, since, firstHour],
  );
  return spent + part.rows[0]!.spent;
}
