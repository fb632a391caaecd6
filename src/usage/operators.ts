import type { Pool, Queryable } from "../platform/postgres.ts";
import { putBack } from "./repository.ts";

interface IncidentRow {
  id: string;
  kind: string;
  subject: string;
  user_id: string | null;
  details: Record<string, unknown>;
  created_at: Date;
  resolved_at: Date | null;
  total: bigint;
}

/** A page of incidents, newest first. */
export async function listIncidents(
  pool: Pool,
  filter: { kind?: string | undefined; open?: "true" | "false" | undefined },
  { page, page_size }: { page: number; page_size: number },
) {
  const { rows } = await pool.query<IncidentRow>(
    `SELECT id, kind, subject, user_id, details, created_at, resolved_at, count(*) OVER () AS total FROM incidents
     WHERE ($1::text IS NULL OR kind = $1) AND ($2::boolean IS NULL OR (resolved_at IS NULL) = $2)
     ORDER BY created_at DESC, id LIMIT $3 OFFSET $4`,
    [filter.kind ?? null, filter.open ?? null, page_size, (page - 1) * page_size],
  );
  const items = rows.map(({ total: _total, ...incident }) => incident);
  return { items, total: Number(rows[0]?.total ?? 0n), page, page_size };
}

/** Puts a call that was set aside back into the queue, its cause being mended; false when it is not set aside. */
export async function retrySetAside(tx: Queryable, eventId: string): Promise<boolean> {
  if (!(await putBack(tx, eventId))) return false;
  await tx.query(
    "UPDATE incidents SET resolved_at = now() WHERE subject = $1 AND kind IN ('price_version_missing', 'settlement_refused') AND resolved_at IS NULL",
    [eventId],
  );
  return true;
}
