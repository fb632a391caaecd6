import path from "node:path";
import { expect } from "chai";
import { createLogger } from "../../../src/platform/logger.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { migrate } from "../../../src/platform/migrations.ts";
import { createPool } from "../../../src/platform/postgres.ts";
import { projectRoot } from "../../../src/platform/root.ts";
import { emptyDatabase } from "../../support/stack.ts";
import { usageRig } from "../../support/usage.ts";

const log = createLogger({ level: "silent", name: "test" });
const folder = path.join(projectRoot, "migrations");

describe("calls recorded by the release before", () => {
  it("are settled by this one at the price they had, and stay as they were recorded", async () => {
    const url = await emptyDatabase();
    await migrate({ url, folder, log, upTo: "0006-http.sql" });
    const before = createPool({ url, max: 2, name: "test", log });
    const user = uuidv7();
    const wallet = (await before.query<{ id: bigint }>("SELECT ledger_open_wallet('user', $1) AS id", [user])).rows[0]!.id;
    const id = uuidv7();
    const event = {
      id,
      created_at: new Date(),
      request_id: "old",
      shard: 0,
      user_id: user,
      wallet_id: wallet.toString(),
      model: "test-model",
      route: "/v1/chat/completions",
      stream: true,
      price_version_id: "1",
      input_tokens: 1_500,
      cached_input_tokens: 0,
      cache_write_tokens: 0,
      output_tokens: 800,
      reasoning_tokens: 0,
      estimated: false,
      status: "ok",
      http_status: 200,
      retry_count: 0,
      duration_ms: 5,
    };
    await before.query("SELECT usage_record($1::jsonb, $2::uuid[], $3::integer[])", [JSON.stringify([event]), [], [0]]);
    const broken = { ...event, id: uuidv7(), model: "broken", status: "failed", http_status: 502 };
    await before.query("SELECT usage_record_free($1::jsonb)", [JSON.stringify([broken, { ...broken, id: uuidv7() }])]);
    await before.end();

    await migrate({ url, folder, log });
    const rig = usageRig({ url });
    try {
      await rig.ledger.credit(rig.pool, {
        id: uuidv7(),
        walletId: wallet,
        amount: 100_000_000n,
        from: "adjustments",
        source: "admin",
        type: "ADMIN",
        description: "test",
      });
      expect(await rig.row(id)).to.include({
        price_multiplier: 1_000_000,
        cache_write_long_tokens: 0n,
        attempts: null,
        upstream_cost: null,
      });
      expect(await rig.settlement.settleNow(id)).to.equal(true);
      expect(await rig.row(id)).to.include({ cost: 93_000_000n });
      const sums = await rig.pool.query("SELECT requests, failed, input_tokens, output_tokens FROM usage_hourly ORDER BY model");
      expect(sums.rows).to.deep.equal([
        { requests: 2n, failed: 2n, input_tokens: 0n, output_tokens: 0n },
        { requests: 1n, failed: 0n, input_tokens: 1_500n, output_tokens: 800n },
      ]);
      const { rows } = await rig.pool.query("SELECT requests, sale, attempts, currency FROM usage_upstream_hourly");
      expect(rows).to.deep.equal([{ requests: 1n, sale: 93_000_000n, attempts: 0n, currency: null }]);
      const refused = await rig.pool.query("UPDATE usage_events SET price_multiplier = 0").catch((error: { code?: string }) => error.code);
      expect(refused).to.match(/^23/);
      expect((await rig.ledger.verify()).differences).to.deep.equal([]);
    } finally {
      await rig.close();
    }
  });
});
