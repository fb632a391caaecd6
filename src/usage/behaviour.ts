import type { Queryable } from "../platform/postgres.ts";
import { COUNTS } from "./second.ts";

/** How calls of a user ended, as far as that is the user's own doing. */
export interface CallBehaviour {
  calls: number;
  /** Not served by us for what they asked. */
  refused: number;
  /** Not served by providers for what they asked. */
  rejected: number;
}

/** How the calls of users since a moment ended; users without calls are left out. */
export async function behaviourSince(db: Queryable, userIds: readonly string[], since: Date): Promise<Map<string, CallBehaviour>> {
  const { rows } = await db.query<CallBehaviour & { user_id: string }>(
    // A provider that refuses us (a key of ours that is dead, say) is none of their doing.
    `SELECT user_id, count(*)::integer AS calls,
       (count(*) FILTER (WHERE error_class = 'refused' AND error_code NOT LIKE 'upstream\\_%'))::integer AS refused,
       (count(*) FILTER (WHERE error_class = 'rejected'))::integer AS rejected
     FROM usage_events WHERE user_id = ANY ($1) AND created_at >= $2 AND ${COUNTS} GROUP BY user_id`,
    [userIds, since],
  );
  return new Map(rows.map(({ user_id, ...behaviour }) => [user_id, behaviour]));
}

/** What users' settled calls since a moment cost, in micro-credits, to the hour; users without calls are left out. */
export async function spentOf(db: Queryable, userIds: readonly string[], since: Date): Promise<Map<string, bigint>> {
  const { rows } = await db.query<{ user_id: string; spent: bigint }>(
    "SELECT user_id, sum(cost)::bigint AS spent FROM usage_hourly WHERE user_id = ANY ($1) AND hour >= $2 GROUP BY user_id",
    [userIds, since],
  );
  return new Map(rows.map(({ user_id, spent }) => [user_id, spent]));
}
