import { inBatches } from "../platform/inBatches.ts";
import type { Logger } from "../platform/logger.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Pool, Queryable } from "../platform/postgres.ts";

/** What can be wrong with a call. Incidents of holds and charges are the ledger's own. */
export type IncidentKind =
  | "provider_key_refused"
  | "run_unpaid"
  | "price_version_missing"
  | "settlement_refused"
  | "usage_clamped"
  | "message_differs"
  | "usage_disagrees"
  | "usage_unreadable";

/** Something that must not happen and did. At most one is kept per kind and subject (a call). */
export interface Incident {
  kind: IncidentKind;
  subject: string;
  userId?: string | null;
  walletId?: bigint | null;
  details?: Record<string, unknown>;
}

/** Keeps incidents for operators; the same kind and subject again changes nothing. */
export async function reportIncidents(db: Queryable, incidents: readonly Incident[]): Promise<void> {
  if (incidents.length === 0) return;
  await db.query(
    `INSERT INTO incidents (kind, subject, user_id, wallet_id, details)
     SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::jsonb[]) ON CONFLICT (kind, subject) DO NOTHING`,
    [
      incidents.map((incident) => incident.kind),
      incidents.map((incident) => incident.subject),
      incidents.map((incident) => incident.userId ?? null),
      incidents.map((incident) => incident.walletId ?? null),
      incidents.map((incident) => JSON.stringify(incident.details ?? {})),
    ],
  );
}

/** Closes incidents whose cause is mended. */
export async function resolveIncidents(db: Queryable, kind: IncidentKind, subjects: readonly string[]): Promise<void> {
  if (subjects.length === 0) return;
  await db.query("UPDATE incidents SET resolved_at = now() WHERE kind = $1 AND subject = ANY ($2::text[]) AND resolved_at IS NULL", [
    kind,
    subjects,
  ]);
}

/** Of calls that wait until somebody mends the cause; the others only say what happened. */
const WAITING: readonly IncidentKind[] = ["price_version_missing", "settlement_refused"];

/**
 * Forgets incidents that are older than `before`: resolved ones, by when they were resolved, and those that only say what happened. What a
 * call still waits for is never forgotten. In short transactions; safe at any time, twice, and on several workers.
 */
export function forgetIncidents(pool: Pool, before: Date): Promise<number> {
  return inBatches(async (most) => {
    const { rowCount } = await pool.query(
      `DELETE FROM incidents WHERE id IN (
         SELECT id FROM incidents WHERE created_at < $1 AND coalesce(resolved_at < $1, kind <> ALL ($2::text[])) ORDER BY created_at LIMIT $3)`,
      [before, WAITING, most],
    );
    return rowCount ?? 0;
  });
}

/** Keeps and counts incidents as they happen, without making anybody wait. Declares its metric; once per process. */
export function createIncidentReporter(deps: { pool: Pool; log: Logger; metrics: Metrics }): (incident: Incident) => void {
  const { pool, log, metrics } = deps;
  const noted = metrics.counters({
    name: "tollkeeper_relay_incidents_total",
    help: "Incidents noted by the relay, by kind.",
    labels: ["kind"],
  });
  return (incident) => {
    noted.of(incident.kind).add();
    reportIncidents(pool, [incident]).catch((error: unknown) => log.error({ err: error, incident }, "an incident could not be kept"));
  };
}
