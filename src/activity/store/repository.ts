import type { Pool, Queryable } from "../../platform/postgres.ts";
import type { StoredEvent } from "./rows.ts";

/** What is asked for. */
export interface ActivityFilter {
  userId: string;
  /** Only what happened to this user, not what he did to others as an operator. */
  own?: boolean | undefined;
  kinds?: readonly string[] | undefined;
  /** Only what failed or was refused. */
  failed?: boolean | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** An event as it was kept. */
export interface KeptEvent {
  id: string;
  at: Date;
  kind: string;
  user_id: string | null;
  request_id: string | null;
  ip: string | null;
  times: number;
  facts: Record<string, unknown>;
}

/** Totals are counted up to here. */
export const COUNTED = 10_000;

const NO_PARTITION = "23514";

const insert = (db: Queryable, rows: readonly StoredEvent[]) =>
  db.query(
    `INSERT INTO activity_events (id, at, kind, user_id, actor_id, request_id, ip, times, facts)
     SELECT id, at, kind, user_id, actor_id, request_id, ip, times, facts FROM json_to_recordset($1) AS e
       (id uuid, at timestamptz, kind text, user_id uuid, actor_id uuid, request_id text, ip text, times integer, facts jsonb)
     ON CONFLICT DO NOTHING`,
    [`[${rows.map(jsonOf).join(",")}]`],
  );

const jsonOf = ({ facts, ...row }: StoredEvent): string => `${JSON.stringify(row).slice(0, -1)},"facts":${facts}}`;

/** Keeps events; one that is there already changes nothing. A month that has no partition yet gets it. */
export async function insertEvents(pool: Pool, rows: readonly StoredEvent[]): Promise<void> {
  try {
    await insert(pool, rows);
  } catch (error) {
    if ((error as { code?: unknown }).code !== NO_PARTITION) throw error;
    for (const month of new Set(rows.map(({ at }) => `${at.slice(0, 7)}-01`)))
      await pool.query("SELECT activity_make_partition($1::date)", [month]);
    await insert(pool, rows);
  }
}

const WHERE = `(user_id = $1 OR (actor_id = $1 AND NOT $6)) AND ($2::text[] IS NULL OR kind = ANY($2))
  AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::timestamptz IS NULL OR at < $4)
  AND (NOT $5 OR kind = 'call.refused' OR (kind = 'sign_in' AND facts ->> 'result' = 'failure')
       OR (kind IN ('topup.changed', 'task.changed') AND facts ->> 'status' = 'failed'))`;

const values = ({ userId, own, kinds, from, to, failed }: ActivityFilter): unknown[] => [
  userId,
  kinds ?? null,
  from ?? null,
  to ?? null,
  failed ?? false,
  own ?? false,
];

/** The newest events of a user, and of what he did as an operator. */
export async function newestEvents(db: Queryable, filter: ActivityFilter, limit: number): Promise<KeptEvent[]> {
  const { rows } = await db.query<KeptEvent>(
    `SELECT id, at, kind, user_id, request_id, ip, times, facts FROM activity_events WHERE ${WHERE} ORDER BY at DESC, id DESC LIMIT $7`,
    [...values(filter), limit],
  );
  return rows;
}

/** How many there are, at most {@link COUNTED}. */
export async function countEvents(db: Queryable, filter: ActivityFilter): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM (SELECT FROM activity_events WHERE ${WHERE} LIMIT ${COUNTED}) AS found`,
    values(filter),
  );
  return rows[0]?.count ?? 0;
}

/** Makes the partitions of this month and the next and drops months that ended before `before`; returns how many were dropped. */
export async function keepPartitions(pool: Pool, before: Date): Promise<number> {
  await pool.query(
    "SELECT activity_make_partition((now() AT TIME ZONE 'UTC' + ahead)::date) FROM unnest('{0,1 month}'::interval[]) AS ahead",
  );
  const { rows } = await pool.query<{ dropped: number }>("SELECT activity_drop_partitions($1::timestamptz) AS dropped", [before]);
  return rows[0]?.dropped ?? 0;
}
