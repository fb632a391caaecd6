import { parse } from "csv-parse/sync";
import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createInvalidation } from "../../../src/platform/invalidation.ts";
import { createPricing, type Pricing } from "../../../src/pricing/index.ts";
import type { UsageEvent } from "../../../src/usage/index.ts";
import { monthForecast } from "../../../src/usage/reports/month.ts";
import { monthReport } from "../../../src/usage/reports/report.ts";
import { routesServed } from "../../../src/gateway/formats/served.ts";
import { savingHints } from "../../../src/usage/reports/hints/index.ts";
import { foldHours } from "../../../src/usage/reports/patterns.ts";
import { useStack } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";
import { startUsageApi, type Owner, type UsageApi } from "./api.ts";

const at = (text: string) => new Date(text);
const DAY_MS = 86_400_000;

/** Where a provider of chat models is called. */
const everywhere = routesServed(["openai"]);

describe("reports", function () {
  this.timeout(60_000);
  const places = useStack();
  let api: UsageApi;
  let pricing: Pricing;
  let stop: () => Promise<void>;

  before(async () => {
    const invalidation = createInvalidation({ url: places.databaseUrl, log: silent });
    await invalidation.start();
    stop = () => invalidation.stop();
    api = await startUsageApi({ databaseUrl: places.databaseUrl, timeZone: "Asia/Kolkata" });
    pricing = createPricing({ pool: api.rig.pool, invalidation });
  });
  after(async () => {
    await api.close();
    await stop();
  });

  const report = (owner: Owner, month: string | undefined, now: Date, timeZone = "Asia/Kolkata") =>
    monthReport(api.rig.pool, owner.userId, { month, timeZone, now, keyNames: new Map() });
  const tokens = (input: number, output: number) => ({ input, cachedInput: 0, cacheWrite: 0, output, reasoning: 0 });

  it("of a month have its days, models and keys, beside the month before, by the local calendar", async () => {
    const ada = await api.rig.wallet(10_000);
    const key = uuidv7();
    await api.settle([
      [ada, { startedAt: at("2026-08-31T18:00:00Z"), model: "old" }],
      // 2026-09-01 00:00 in Kolkata.
      [ada, { startedAt: at("2026-08-31T18:30:00Z"), keyId: key }],
      [ada, { startedAt: at("2026-09-10T00:00:00Z"), model: "dear", tokens: tokens(3_000, 1_600) }],
      [ada, { startedAt: at("2026-09-30T18:29:59Z"), keyId: key, status: "client_gone", tokens: tokens(100, 100) }],
      [ada, { startedAt: at("2026-09-30T18:30:00Z"), model: "next" }],
    ]);
    const september = await report(ada, "2026-09", at("2026-11-01T00:00:00Z"));
    expect(september).to.include({ month: "2026-09", complete: true, from: "2026-08-31T18:30:00.000Z", to: "2026-09-30T18:30:00.000Z" });
    expect(september.totals).to.include({ requests: 3, input_tokens: 4_600, output_tokens: 2_500, cost: "288" });
    expect(september.previous).to.include({ month: "2026-08", requests: 1, cost: "93" });
    expect(september.change).to.include({
      compared_with: "month",
      cost: "93",
      difference: "195",
      cost_percent: "209.7",
      requests_percent: "200.0",
    });
    expect(september.by_day.map((day) => [day.key, day.cost])).to.deep.equal([
      ["2026-09-01", "93"],
      ["2026-09-10", "186"],
      ["2026-09-30", "9"],
    ]);
    expect(september.by_model.map((model) => [model.key, model.cost, model.share_percent])).to.deep.equal([
      ["dear", "186", "64.6"],
      ["test-model", "102", "35.4"],
    ]);
    expect(september.by_key.map((each) => [each.key, each.cost])).to.deep.equal([
      [null, "186"],
      [key, "102"],
    ]);
    expect(september.dearest.map((call) => call.cost)).to.deep.equal(["186", "93", "9"]);
    expect(september.waste.cancelled).to.deep.equal({ calls: 1, cost: "9" });
  });

  it("of a running month compare it with the same part of the one before, and refuse months to come", async () => {
    const bob = await api.rig.wallet(10_000);
    await api.settle([
      [bob, { startedAt: at("2026-08-05T00:00:00Z") }],
      [bob, { startedAt: at("2026-08-25T00:00:00Z") }],
      [bob, { startedAt: at("2026-09-02T00:00:00Z") }],
    ]);
    const running = await report(bob, undefined, at("2026-09-10T12:00:00Z"));
    expect(running).to.include({ month: "2026-09", complete: false });
    expect(running.previous).to.include({ requests: 2, cost: "186" });
    expect(running.change).to.include({ compared_with: "same_part", requests: 1, cost: "93", difference: "0", cost_percent: "0.0" });
    const refused = await report(bob, "2026-10", at("2026-09-10T12:00:00Z")).catch((error: { code: string }) => error);
    expect(refused).to.include({ code: "validation_failed" });
    const nobody = await report(await api.rig.wallet(1), "2026-09", at("2026-09-10T12:00:00Z"));
    expect(nobody.totals).to.include({ requests: 0, cost: "0", average_duration_ms: null });
    expect(nobody.change).to.include({ cost_percent: null });
  });

  it("over HTTP show 93 for 1500 and 800 tokens, and export their lines", async () => {
    const eve = await api.rig.wallet(1_000);
    await api.settle([[eve]]);
    const { status, data } = await api.get<{ totals: { cost: string } }>("/api/user/usage/report", eve);
    expect(status).to.equal(200);
    expect(data.totals.cost).to.equal("93");
    const { body, type } = await api.text("/api/user/usage/report/export.csv", eve);
    expect(type).to.contain("text/csv");
    const lines = parse(body, { columns: true }) as Record<string, string>[];
    expect(lines.map(({ section, cost }) => [section, cost])).to.deep.equal([
      ["day", "93"],
      ["model", "93"],
      ["key", "93"],
      ["total", "93"],
    ]);
    expect((await api.get("/api/user/usage/report?month=2026-13", eve)).status).to.equal(400);
    const forecast = await api.get("/api/user/usage/forecast?time_zone=UTC", eve);
    expect(forecast.data).to.include({ spent: "93", method: "weekday_run_rate", time_zone: "UTC" });
    const patterns = await api.get<{ busiest: object }>("/api/user/usage/patterns", eve);
    expect(patterns.data).to.include({ requests: 1, average_input_tokens: 1_500, average_output_tokens: 800, time_zone: "Asia/Kolkata" });
    expect(patterns.data.busiest).to.include({ requests: 1, cost: "93" });
    expect((await api.get<{ items: object[] }>("/api/user/usage/hints", eve)).data.items).to.deep.equal([]);
  });

  it("forecast from the days since the first use, in the user's own time zone", async () => {
    const joan = await api.rig.wallet(100_000);
    // Ten days from 2026-09-01 in Kolkata, a call of 93 each at 00:15 there.
    await api.settle(
      Array.from({ length: 10 }, (_, n): [Owner, Partial<UsageEvent>] => [
        joan,
        { startedAt: new Date(Date.parse("2026-08-31T18:45:00Z") + n * DAY_MS) },
      ]),
    );
    const forecast = await monthForecast(api.rig.pool, joan.userId, "Asia/Kolkata", at("2026-09-10T18:30:00Z"));
    expect(forecast).to.include({
      month: "2026-09",
      spent: "930",
      // The 11th has just begun: it and 19 more days.
      expected: "2790",
      low: "2790",
      high: "2790",
      confidence: "medium",
      days_of_history: 10,
    });
    const gap = await monthForecast(api.rig.pool, joan.userId, "Asia/Kolkata", at("2026-11-20T18:30:00Z"));
    expect(gap, "eight weeks without a call count as days").to.include({ spent: "0", expected: "0", days_of_history: 56 });
  });

  it("hint at prompts that are sent again, with what cached input would save", async () => {
    const kim = await api.rig.wallet(100_000);
    await api.rig.pool.query("INSERT INTO models (name) VALUES ('chatty'), ('thrifty')");
    await api.rig.pool.query(
      `INSERT INTO price_versions (model, version, input_price, output_price, cached_input_price)
       VALUES ('chatty', 1, 30000000, 60000000, 10000000), ('thrifty', 1, 3000000, 6000000, NULL)`,
    );
    const now = new Date();
    const began = now.getTime() - 3_600_000;
    // One conversation of 12 turns, a minute apart: each prompt is the one before and its answer and 100 tokens more.
    const turns = Array.from({ length: 12 }, (_, n): [Owner, Partial<UsageEvent>, number] => [
      kim,
      { model: "chatty", startedAt: new Date(began + n * 60_000), tokens: tokens(2_000 + n * 300, 200) },
      1_000,
    ]);
    const key = uuidv7();
    await api.settle(turns.map(([owner, event, held]) => [owner, { ...event, keyId: key }, held]));
    pricing.drop();
    const hints = await savingHints({ db: api.rig.pool, ledger: api.rig.ledger, pricing, routesOf: async () => everywhere }, kim, now);
    const sent = turns.reduce((sum, [, event]) => sum + event.tokens!.input, 0);
    const again = sent - (2_000 + 11 * 300);
    expect(sent).to.equal(43_800);
    const cache = hints.items.find(({ kind }) => kind === "unused_cache");
    // Eleven prompts were sent again in full: 38 500 tokens at 20 credits less per 1000.
    expect(again).to.equal(38_500);
    expect(cache).to.include({ model: "chatty", amount: "770", per: "30_days" });
    expect(cache!.facts).to.deep.equal({ repeated_percent: 87, cached_percent: 0, missed_tokens: 38_500 });
    const cheaper = hints.items.find(({ kind }) => kind === "cheaper_model");
    // 43 800 in and 2400 out: 1314 + 144 credits with chatty, a tenth of it with thrifty.
    expect(cheaper).to.include({ model: "chatty", amount: "1312.2" });
    expect(cheaper!.facts).to.include({ other_model: "thrifty", paid: "1458", other_cost: "145.8" });
    const large = hints.items.find(({ kind }) => kind === "large_max_tokens");
    expect(large).to.include({ model: "chatty", amount: "878.5" });
    const again2 = await savingHints({ db: api.rig.pool, ledger: api.rig.ledger, pricing, routesOf: async () => everywhere }, kim, now);
    expect(again2, "the same data, the same hints").to.deep.equal(hints);
    for (const spoken of [[], ["dify"]] as const) {
      const routesOf = async () => routesServed(spoken);
      const elsewhere = await savingHints({ db: api.rig.pool, ledger: api.rig.ledger, pricing, routesOf }, kim, now);
      expect(
        elsewhere.items.map(({ kind }) => kind),
        spoken.join(),
      ).not.to.include("cheaper_model");
    }
    const stranger = await savingHints(
      { db: api.rig.pool, ledger: api.rig.ledger, pricing, routesOf: async () => everywhere },
      await api.rig.wallet(5),
      now,
    );
    expect(stranger.items).to.deep.equal([]);
  });

  it("hint at credit that would expire unused", async () => {
    const dan = await api.rig.wallet(10);
    await api.rig.ledger.credit(api.rig.pool, {
      id: `bonus:${dan.userId}`,
      walletId: dan.walletId,
      amount: 50n * MICRO,
      from: "grants:test",
      source: "bonus",
      type: "BONUS",
      expiresAt: new Date(Date.now() + 5 * DAY_MS),
      description: "for five days",
    });
    const hints = await savingHints(
      { db: api.rig.pool, ledger: api.rig.ledger, pricing, routesOf: async () => everywhere },
      dan,
      new Date(),
    );
    expect(hints.items).to.have.length(1);
    expect(hints.items[0]).to.include({ kind: "expiring_credit", amount: "50", per: "once" });
  });

  it("fold hours into weekdays and hours of the local clock", () => {
    const hours = [
      { key: "2026-11-22T18:30:00Z", requests: 2n, cost: 5n },
      { key: "2026-11-23T18:30:00Z", requests: 1n, cost: 1n },
    ];
    const { byWeekday, byHour, busiest } = foldHours(hours, "Asia/Kolkata");
    expect(byWeekday[0]).to.deep.equal({ requests: 2, cost: 5n });
    expect(byWeekday[1]).to.deep.equal({ requests: 1, cost: 1n });
    expect(byHour[0]).to.deep.equal({ requests: 3, cost: 6n });
    expect(busiest).to.include({ weekday: 0, hour: 0, requests: 2 });
  });
});
