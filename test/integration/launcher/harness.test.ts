import { expect } from "chai";
import pg from "pg";
import { emptyDatabase, freshNamespace, freshRedis, infra, useStack, waitFor } from "../../support/stack.ts";

describe("the test harness", () => {
  const places = useStack({ namespace: true });

  it("gives each describe a migrated database of its own", async () => {
    expect(places.databaseUrl).to.not.equal(infra().databaseUrl);
    const client = new pg.Client({ connectionString: places.databaseUrl });
    await client.connect();
    const { rows } = await client.query<{ there: string | null }>("SELECT to_regclass('schema_migrations') AS there");
    await client.end();
    expect(rows[0]?.there).to.equal("schema_migrations");
  });

  it("gives an empty database, a Redis database and a namespace that nobody else has", async () => {
    const all = [await emptyDatabase(), await emptyDatabase(), await freshRedis(), await freshRedis(), await freshNamespace()];
    expect(new Set([...all, places.databaseUrl, places.redisUrl, places.namespace])).to.have.length(8);
  });

  it("waits until a condition holds, and says what it waited for in vain", async () => {
    let asked = 0;
    expect(await waitFor(() => ++asked > 2 && asked)).to.equal(3);
    const problem = await waitFor(() => false, { timeoutMs: 50, message: "the moon" }).catch((error: Error) => error);
    expect(String(problem)).to.contain("waited 50 ms in vain for the moon");
  });
});
