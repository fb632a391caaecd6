import type { Pool } from "../../src/platform/postgres.ts";

/**
 * A transaction that does one statement and stands still, longer than Postgres lets ours, as that of a frozen copy or of somebody who keeps
 * rows locked. Answers how it is ended.
 */
export async function standStill(pool: Pool, statement: string, values: unknown[]): Promise<(how: "COMMIT" | "ROLLBACK") => Promise<void>> {
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("SET LOCAL idle_in_transaction_session_timeout = 0");
  await client.query(statement, values);
  return async (how) => {
    await client.query(how);
    client.release();
  };
}
