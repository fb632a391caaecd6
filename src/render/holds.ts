import type { Ledger } from "../ledger/index.ts";
import type { Pool } from "../platform/postgres.ts";
import { HOLD_TTL_MS } from "./deps.ts";

const RENEWED_EVERY_S = HOLD_TTL_MS / 1_000 / 4;
const AT_ONCE = 1_000;

/**
 * Renews the holds of tasks that are not over, also of those that are paused: regular housekeeping, in place of a timer in each workflow.
 * Returns how many.
 */
export async function renewHolds({ pool, ledger }: { pool: Pool; ledger: Pick<Ledger, "extend"> }): Promise<number> {
  const { rows } = await pool.query<{ id: string; hold_id: string }>(
    `SELECT id, hold_id FROM render_tasks WHERE ended_at IS NULL AND renewed_at < now() - make_interval(secs => $1)
     ORDER BY renewed_at LIMIT $2`,
    [RENEWED_EVERY_S, AT_ONCE],
  );
  if (rows.length === 0) return 0;
  await ledger.extend(
    rows.map(({ hold_id }) => hold_id),
    HOLD_TTL_MS,
  );
  await pool.query("UPDATE render_tasks SET renewed_at = now() WHERE id = ANY ($1::uuid[])", [rows.map(({ id }) => id)]);
  return rows.length;
}
