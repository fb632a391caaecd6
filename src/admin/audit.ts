import type { Bus } from "../activity/index.ts";
import { afterCommit, type Queryable } from "../platform/postgres.ts";

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

/** Who hears of entries; a process has one bus. */
const hearing = new Set<Pick<Bus, "emit">>();

/** Tells every entry of this process as an event, once it is committed. Returns how to stop that. */
export function tellAudit(events: Pick<Bus, "emit">): () => void {
  hearing.add(events);
  return () => void hearing.delete(events);
}

const USER = /^user:(.+)$/;

/**
 * Appends to the hash-chained audit log; call it in the transaction of the change, so that neither exists without the other. When that is
 * committed the same entry is told as the event `operator.acted`.
 */
export async function recordAudit(tx: Queryable, entry: AuditEntry): Promise<void> {
  const { actorId, action, target, details, traceId } = entry;
  await tx.query(
    "INSERT INTO audit_log (actor_id, action, target, details, trace_id, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, '', '')",
    [actorId, action, target, JSON.stringify(details), traceId],
  );
  afterCommit(tx, () => {
    for (const { emit } of hearing)
      emit({
        kind: "operator.acted",
        user_id: USER.exec(target)?.[1] ?? null,
        request_id: traceId,
        actor_id: actorId,
        action,
        target,
        details,
      });
  });
}
