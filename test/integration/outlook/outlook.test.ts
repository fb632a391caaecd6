import { expect } from "chai";
import type { Readers } from "../../../src/outlook/figures.ts";
import { createSampler, outlookRoutes, postgresFigures, single, watchOutlook } from "../../../src/outlook/index.ts";
import { createMetrics } from "../../../src/platform/metrics.ts";
import { failuresByProvider } from "../../../src/usage/index.ts";
import { useStack } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";
import { startUsageApi, type UsageApi } from "../usage/api.ts";

interface Item {
  figure: string;
  subject: string | null;
  value: number;
  state: string;
  reaches_at: string | null;
  per_hour: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe("the outlook", () => {
  const places = useStack();
  let api: UsageApi;
  let nowMs = Math.ceil(Date.now() / (5 * MINUTE_MS)) * 5 * MINUTE_MS;
  const values = { backlog: 0, free: 1e12, a: 0, b: 0 };
  let sample: () => Promise<void>;

  before(async () => {
    api = await startUsageApi({ databaseUrl: places.databaseUrl, more: ({ pool }) => outlookRoutes({ pool, now: () => nowMs }) });
    const { pool } = api.rig;
    const readers: Readers = {
      ...postgresFigures(pool),
      settlement_backlog: async () => single(values.backlog, 10_000),
      provider_failures: async () => [
        { subject: "a", value: values.a, limit: 20 },
        { subject: "b", value: values.b, limit: 20 },
      ],
      disk_free_bytes: async () => single(values.free, 0),
      redis_memory_bytes: () => Promise.reject(new Error("redis is away")),
      campaign_budget: async () => [],
    };
    sample = createSampler({ pool, log: silent, readers, now: () => nowMs });
  });
  after(() => api.close());

  const owner = { userId: "01a00000-0000-7000-8000-000000000001", walletId: 1n };
  const outlook = async (query = "") => (await api.get<{ items: Item[] }>(`/api/admin/outlook${query}`, owner, "operator")).data.items;
  /** Five minutes later. */
  async function pass(times: number, change: (n: number) => void): Promise<void> {
    for (let n = 0; n < times; n += 1) {
      nowMs += 5 * MINUTE_MS;
      change(n);
      await Promise.all([sample(), sample(), sample()]);
    }
  }

  it("foresees what goes steadily towards its limit, the most urgent first, and nothing else", async () => {
    const noise = [3, 9, 1, 8, 2, 9, 1, 7, 3, 9, 2, 8];
    await pass(12, (n) => {
      values.backlog = 1_000 + 100 * n;
      values.free = 1e12 - 1e9 * n;
      values.a = noise[n]!;
      values.b = 1 + n / 2;
    });
    const items = await outlook();
    expect(items.map(({ figure, subject, state }) => [figure, subject, state])).to.deep.equal([
      ["provider_failures", "b", "soon"],
      ["settlement_backlog", null, "soon"],
      ["disk_free_bytes", null, "later"],
    ]);
    // 7900 more at 1200 an hour.
    expect(Date.parse(items[1]!.reaches_at!) - nowMs).to.be.closeTo((7_900 / 1_200) * HOUR_MS, MINUTE_MS);
    expect(items[1]).to.include({ value: 2_100, per_hour: 1_200 });
    const all = await outlook("?all=true");
    expect(all.map(({ figure }) => figure)).to.include.members(["postgres_connections", "postgres_transaction_age", "database_bytes"]);
    expect(all.find(({ figure, subject }) => figure === "provider_failures" && subject === "a")).to.include({
      state: "well",
      reaches_at: null,
    });
  });

  it("takes one sample for all workers, and leaves out what cannot be read", async () => {
    const { rows } = await api.rig.pool.query<{ figure: string; count: number }>(
      "SELECT figure, count(*)::integer AS count FROM outlook_samples GROUP BY figure",
    );
    const counts = Object.fromEntries(rows.map(({ figure, count }) => [figure, count]));
    expect(counts).to.include({ settlement_backlog: 12, provider_failures: 24 }).and.not.have.property("redis_memory_bytes");
  });

  it("says what is there already, and forgets what is no more", async () => {
    await pass(1, () => (values.backlog = 12_000));
    expect((await outlook())[0]).to.include({ figure: "settlement_backlog", state: "now" });
    nowMs += HOUR_MS;
    expect(await outlook("?all=true")).to.deep.equal([]);
  });

  it("is for operators, and a figure that alerts can use", async () => {
    expect((await api.get("/api/admin/outlook", owner)).status).to.equal(403);
    const metrics = createMetrics();
    watchOutlook(metrics, api.rig.pool);
    await api.rig.pool.query("UPDATE outlook_samples SET at = at - ($1::timestamptz - now())", [new Date(nowMs - HOUR_MS)]);
    expect(await metrics.text()).to.match(/tollkeeper_outlook_hours\{figure="settlement_backlog",subject=""\} 0/);
  });

  it("counts failures of providers that have enough calls", async () => {
    const ada = await api.rig.wallet(10_000);
    await api.settle(Array.from({ length: 4 }, () => [ada, { providerName: "good" }]));
    await api.rig.usage.stop();
    expect(await failuresByProvider(api.rig.pool, 10, 4)).to.deep.equal([{ provider: "good", percent: 0 }]);
    expect(await failuresByProvider(api.rig.pool, 10, 5)).to.deep.equal([]);
  });
});
