import { expect } from "chai";
import { QueryTypes } from "sequelize";
import { createPool, inTransaction, isConnectionError, type Pool } from "../../../src/platform/postgres.ts";
import { createSequelize } from "../../../src/platform/sequelize.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";

describe("a transaction that stands still", () => {
  const places = useStack();
  let pool: Pool;
  before(() => {
    pool = createPool({ url: places.databaseUrl, max: 3, name: "test-standing", log: silent });
  });
  after(() => pool.end());

  it("is ended by Postgres on every connection of ours", async () => {
    const { rows } = await pool.query("SHOW idle_in_transaction_session_timeout");
    expect(rows).to.deep.equal([{ idle_in_transaction_session_timeout: "10s" }]);
    const sequelize = createSequelize({ url: places.databaseUrl, max: 1 });
    try {
      const answer = await sequelize.query("SHOW idle_in_transaction_session_timeout", { type: QueryTypes.SELECT });
      expect(answer).to.deep.equal([{ idle_in_transaction_session_timeout: "10s" }]);
    } finally {
      await sequelize.close();
    }
  });

  it("lets go of what it locked, did nothing, and whoever made it is told as of a lost connection", async () => {
    await pool.query("CREATE TABLE standing (n integer)");
    const free = async () => (await pool.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711")).rowCount === 0;
    const ended = await inTransaction(pool, async (tx) => {
      await tx.query("SET LOCAL idle_in_transaction_session_timeout = 50");
      await tx.query("INSERT INTO standing VALUES (1)");
      await tx.query("SELECT pg_advisory_xact_lock(4711)");
      await waitFor(free, { timeoutMs: 10_000, message: "the lock to be free" });
      await tx.query("SELECT 1");
    }).catch((error: unknown) => error);
    expect(isConnectionError(ended), String(ended)).to.equal(true);
    expect((await pool.query("SELECT FROM standing")).rowCount).to.equal(0);
  });
});
