import type { Queryable } from "../platform/postgres.ts";

/** Calls that ended lately at each provider, and how many of them failed. Those of fewer calls than `least` are left out. */
export async function failuresByProvider(db: Queryable, minutes: number, least: number): Promise<{ provider: string; percent: number }[]> {
  const { rows } = await db.query<{ provider: string; percent: number }>(
    `SELECT provider_name AS provider, 100.0::float8 * count(*) FILTER (WHERE status = 'failed') / count(*) AS percent
     FROM usage_events WHERE created_at > now() - make_interval(mins => $1) AND provider_name IS NOT NULL
     GROUP BY provider_name HAVING count(*) >= $2 ORDER BY provider_name`,
    [minutes, least],
  );
  return rows;
}
