import type { Queryable } from "../platform/postgres.ts";

/** Something an operator did. `details` must hold no secret. */
export interface AuditEntry {
  actorId: string | null;
  /** What was done, e.g. `user.suspend`. */
  action: string;
  /** What it was done to, e.g. `user:<id>`. */
  target: string;
  details: Record<string, unknown>;
  traceId: string | null;
}

/** Appends to the hash-chained audit log; call it in the transaction of the change, so that neither exists without the other. */
export async function recordAudit(tx: Queryable, entry: AuditEntry): Promise<void> {
  await tx.query(
    "INSERT INTO audit_log (actor_id, action, target, details, trace_id, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, '', '')",
    [entry.actorId, entry.action, entry.target, JSON.stringify(entry.details), entry.traceId],
  );
}
