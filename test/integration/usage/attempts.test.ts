import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createSequelize } from "../../../src/platform/sequelize.ts";
import type { Sequelize } from "sequelize";
import type { UpstreamAttempt } from "../../../src/usage/index.ts";
import { createUsageLists, type UsageLists } from "../../../src/usage/lists.ts";
import { margins, type MarginQuery } from "../../../src/usage/margin.ts";
import { useStack } from "../../support/stack.ts";
import { usageRig, type UsageRig } from "../../support/usage.ts";

/** 10 credits a yuan; nobody said what a dollar is. */
const RATES = { CREDITS: MICRO, CNY: 10n * MICRO };

/** An attempt at a provider that answered, at a cost of 30 credits. */
const attempt = (more: Partial<UpstreamAttempt> = {}): UpstreamAttempt => ({
  providerId: uuidv7(),
  provider: "north",
  upstreamModel: "model-at-north",
  status: "ok",
  httpStatus: 200,
  startedMs: 1,
  firstByteMs: 20.4,
  durationMs: 100.6,
  cost: 30n * MICRO,
  currency: "CREDITS",
  ...more,
});

describe("attempts at providers and what they cost", () => {
  const places = useStack();
  let rig: UsageRig;
  let sequelize: Sequelize;
  let lists: UsageLists;

  before(() => {
    rig = usageRig({ url: places.databaseUrl });
    sequelize = createSequelize({ url: places.databaseUrl, max: 2 });
    lists = createUsageLists(sequelize);
  });
  after(async () => {
    await sequelize.close();
    await rig.close();
  });

  /** A settled call of 93 credits with these attempts; a model of its own, so that nobody else is in its sums. */
  async function settled(attempts: UpstreamAttempt[], more: { model?: string; startedAt?: Date } = {}) {
    const owner = await rig.wallet(1_000);
    const last = attempts.at(-1);
    const event = await rig.call(owner, {
      model: uuidv7(),
      providerId: last?.providerId ?? null,
      providerName: last?.provider ?? null,
      attempts,
      ...more,
    });
    await rig.usage.record(event);
    await rig.settlement.settleNow(event.id);
    return event;
  }
  const detail = async (id: string) => (await lists.one(id, RATES)) as Record<string, unknown> & { attempts: Record<string, unknown>[] };
  const margin = async (query: MarginQuery) => margins(rig.pool, query, RATES);

  it("an operator sees each attempt, its cost and the margin of the call", async () => {
    const failed = attempt({
      provider: "south",
      key: "key-1",
      status: "failed",
      httpStatus: 500,
      errorCode: "upstream_server_error",
      errorClass: "server",
      said: "oops",
      firstByteMs: null,
      tokens: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 },
      cost: 0n,
    });
    const { id } = await settled([failed, attempt({ startedMs: 250 })]);
    const seen = await detail(id);
    expect(seen).to.include({ sale: "93", cost_in_credits: "30", margin: "63", margin_percent: "67.7", upstream_cost: "30" });
    expect(seen.attempts).to.deep.equal([
      {
        n: 1,
        provider_id: failed.providerId,
        provider: "south",
        upstream_model: "model-at-north",
        key: "key-1",
        status: "failed",
        http_status: 500,
        error_code: "upstream_server_error",
        error_class: "server",
        said: "oops",
        started_ms: 1,
        first_byte_ms: null,
        duration_ms: 101,
        input_tokens: 0,
        output_tokens: 0,
        cost: "0",
        currency: "CREDITS",
        cost_in_credits: "0",
      },
      {
        ...seen.attempts[1],
        n: 2,
        provider: "north",
        status: "ok",
        started_ms: 250,
        first_byte_ms: 20,
        input_tokens: 1_500,
        output_tokens: 800,
        cost: "30",
      },
    ]);
  });

  it("a cost in yuan is compared at the configured rate, one in dollars stays open without a rate", async () => {
    const yuan = await settled([attempt({ cost: 2_500_000n, currency: "CNY" })]);
    expect(await detail(yuan.id)).to.include({ upstream_cost: "2.5", upstream_currency: "CNY", cost_in_credits: "25", margin: "68" });
    const dollars = await settled([attempt({ cost: 2_500_000n, currency: "USD" })]);
    expect(await detail(dollars.id)).to.include({ upstream_cost: "2.5", upstream_currency: "USD", cost_in_credits: null, margin: null });
    expect((await margin({ group_by: "model", model: dollars.model })).items[0]).to.deep.include({
      sale: "93",
      costs: [{ currency: "USD", amount: "2.5" }],
      margin: null,
    });
  });

  it("attempts in several currencies are summed up in credits alone", async () => {
    const { id } = await settled([
      attempt({ status: "failed", cost: 1_000_000n, currency: "CNY" }),
      attempt({ cost: 5n * MICRO, currency: "CREDITS" }),
    ]);
    expect(await detail(id)).to.include({ upstream_cost: null, upstream_currency: null, cost_in_credits: "15", margin: "78" });
  });

  it("a failed call that cost us something lowers the margin of its model and provider", async () => {
    const providerId = uuidv7();
    const model = uuidv7();
    await settled([attempt({ providerId })], { model });
    const owner = await rig.wallet(10);
    const tried = attempt({ providerId, status: "failed", cost: 70n * MICRO });
    const lost = await rig.call(owner, { model, providerId, providerName: "north", status: "failed", attempts: [tried] }, 0);
    rig.usage.recordFailure(lost);
    await rig.usage.stop();
    rig = usageRig({ url: places.databaseUrl });
    const sums = {
      requests: 2,
      attempts: 2,
      failed_attempts: 1,
      unpriced_attempts: 0,
      sale: "93",
      cost_in_credits: "100",
      margin: "-7",
      margin_percent: "-7.5",
    };
    expect((await margin({ group_by: "model", model })).items).to.have.length(1);
    expect((await margin({ group_by: "model", model })).items[0]).to.include({ key: model, name: model, ...sums });
    expect((await margin({ group_by: "provider", provider: providerId })).items[0]).to.include({ key: providerId, name: "north", ...sums });
    expect((await margin({ group_by: "provider", provider: providerId })).totals).to.include(sums);
  });

  it("a sale counts with the provider that answered, each cost with the one that was asked; one that is not known is said", async () => {
    const [first, second] = [attempt({ status: "failed", cost: 4n * MICRO }), attempt({ provider: "east", cost: null, currency: null })];
    const { model } = await settled([first, second]);
    const { items, totals } = await margin({ group_by: "provider", model });
    expect(items.find((item) => item.key === first.providerId)).to.include({ requests: 0, attempts: 1, sale: "0", margin: "-4" });
    expect(items.find((item) => item.key === second.providerId)).to.include({ requests: 1, attempts: 1, unpriced_attempts: 1, sale: "93" });
    expect(totals).to.include({ requests: 1, attempts: 2, unpriced_attempts: 1, sale: "93", cost_in_credits: "4", margin: "89" });
  });

  it("days are UTC and in order", async () => {
    const model = uuidv7();
    for (const startedAt of [new Date("2026-03-02T00:30:00Z"), new Date("2026-03-01T23:30:00Z")])
      await settled([attempt()], { model, startedAt });
    const { items } = await margin({ group_by: "day", model, from: new Date("2026-03-01"), to: new Date("2026-03-03") });
    expect(items.map(({ key, sale, margin: left }) => [key, sale, left])).to.deep.equal([
      ["2026-03-01", "93", "63"],
      ["2026-03-02", "93", "63"],
    ]);
  });

  it("a call that no provider was asked for has a sale and no cost", async () => {
    const { id, model } = await settled([]);
    expect(await detail(id)).to.deep.include({ attempts: [], cost_in_credits: "0", margin: "93" });
    expect((await margin({ group_by: "model", model })).items[0]).to.include({ requests: 1, attempts: 0, sale: "93", margin: "93" });
  });
});
