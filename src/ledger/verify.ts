import { formatCredits } from "../platform/credits.ts";
import type { Pool, PoolClient } from "../platform/postgres.ts";
import { CHECKS, GUARDS } from "./checks.ts";
import type { Difference, Proof } from "./types.ts";

interface DifferenceRow {
  subject: string;
  expected: string | null;
  found: string | null;
}

/** Differences named per check; beyond that, the rest of a check is left out. */
const MAX_PER_CHECK = 100;

/** Runs every check of checks.ts on one snapshot. Reads all transfers: minutes on a large ledger, without blocking anyone. */
export async function verify(pool: Pool): Promise<Proof> {
  const client = await pool.connect();
  let broken: boolean | Error = true;
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const counts = await client.query<{ accounts: bigint; transfers: bigint }>(
      "SELECT (SELECT count(*) FROM ledger_accounts) AS accounts, (SELECT count(*) FROM ledger_transfers) AS transfers",
    );
    const differences: Difference[] = [];
    for (const check of CHECKS) {
      if (check.needs && !(await exists(client, check.needs))) continue;
      const { rows } = await client.query<DifferenceRow>(
        `SELECT subject::text, expected::text, found::text FROM (${check.sql}) d ORDER BY subject LIMIT ${MAX_PER_CHECK}`,
        check.guards ? [GUARDS] : [],
      );
      const show = (value: string | null) => (value === null ? "nothing" : check.plain ? value : formatCredits(BigInt(value)));
      for (const row of rows) {
        differences.push({ check: check.name, subject: row.subject, expected: show(row.expected), found: show(row.found) });
      }
    }
    await client.query("COMMIT");
    broken = false;
    const { accounts, transfers } = counts.rows[0]!;
    return { balanced: differences.length === 0, accounts: Number(accounts), transfers: Number(transfers), differences };
  } finally {
    client.release(broken);
  }
}

async function exists(client: PoolClient, table: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass($1) IS NOT NULL AS there", [table]);
  return rows[0]!.there;
}
