import type { Queryable } from "../platform/postgres.ts";

/** How many payments of users failed since a moment; users without any are left out. */
export async function failedPaymentsSince(db: Queryable, userIds: readonly string[], since: Date): Promise<Map<string, number>> {
  const { rows } = await db.query<{ user_id: string; failed: number }>(
    "SELECT user_id, count(*)::integer AS failed FROM topup_orders WHERE user_id = ANY ($1) AND status = 'failed' AND created_at >= $2 GROUP BY user_id",
    [userIds, since],
  );
  return new Map(rows.map(({ user_id, failed }) => [user_id, failed]));
}
