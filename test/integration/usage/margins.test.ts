import { parse } from "csv-parse/sync";
import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { useStack } from "../../support/stack.ts";
import { startUsageApi, type Owner, type UsageApi } from "./api.ts";

describe("margins", () => {
  const places = useStack();
  let api: UsageApi;
  let ada: Owner;
  const cheap = uuidv7();

  before(async () => {
    api = await startUsageApi({ databaseUrl: places.databaseUrl });
    ada = await api.rig.wallet(1_000);
    const attempt = {
      provider: "=cheap",
      upstreamModel: "m",
      startedMs: 0,
      firstByteMs: 1,
      durationMs: 2,
      currency: "CREDITS",
      providerId: cheap,
    };
    await api.settle([
      [
        ada,
        {
          startedAt: new Date(Date.now() - 60_000),
          providerId: cheap,
          providerName: "=cheap",
          attempts: [
            { ...attempt, status: "failed", errorClass: "timeout", cost: 2n * MICRO },
            { ...attempt, status: "ok", cost: 60n * MICRO },
          ],
        },
      ],
    ]);
  });
  after(() => api.close());

  it("put what calls cost upstream, failed attempts too, beside what was charged", async () => {
    for (const path of ["/api/admin/margin", "/api/admin/usage/margin"]) {
      const { data } = await api.get<{ items: object[] }>(`${path}?group_by=model`, ada, "operator");
      expect(data.items, path).to.have.length(1);
      expect(data.items[0]).to.include({ key: "test-model", requests: 1, attempts: 2, failed_attempts: 1 });
      expect(data.items[0]).to.include({ sale: "93", cost_in_credits: "62", margin: "31", margin_percent: "33.3" });
    }
    expect((await api.get("/api/admin/margin", ada)).status).to.equal(403);
  });

  it("are the same as CSV, with names that are no formulas", async () => {
    const { body, status } = await api.text("/api/admin/margin/export.csv?group_by=provider", ada, "operator");
    expect(status).to.equal(200);
    expect(parse(body, { columns: true })).to.deep.equal([
      {
        key: cheap,
        name: "'=cheap",
        requests: "1",
        attempts: "2",
        failed_attempts: "1",
        unpriced_attempts: "0",
        sale: "93",
        uncharged: "0",
        costs: "62 CREDITS",
        cost_in_credits: "62",
        margin: "31",
        margin_percent: "33.3",
      },
    ]);
    expect((await api.text("/api/admin/margin/export.csv", ada)).status).to.equal(403);
  });
});
