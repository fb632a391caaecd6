import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { expect } from "chai";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { createExports } from "../../../src/http/exports.ts";
import { createIdempotency } from "../../../src/http/idempotency.ts";
import { createSlots } from "../../../src/http/slots.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createSequelize } from "../../../src/platform/sequelize.ts";
import { usageRoutes } from "../../../src/usage/routes.ts";
import { useStack } from "../../support/stack.ts";
import { eventOf, silent, usageRig, type UsageRig } from "../../support/usage.ts";

interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads whatever was answered
  body: { success: boolean; data: Record<string, any>; error?: { code: string; details: unknown } };
}

describe("lists of calls", () => {
  const places = useStack();
  let rig: UsageRig;
  let close: () => Promise<void>;
  let base: string;
  const keys = new Map<string, string>();

  before(async () => {
    rig = usageRig({ url: places.databaseUrl });
    const sequelize = createSequelize({ url: places.databaseUrl, max: 3 });
    const app = express();
    app.set("query parser", "simple");
    app.use(traceRequests);
    const routes = usageRoutes({
      sequelize,
      pool: rig.pool,
      ledger: rig.ledger,
      exports: createExports(),
      keyNames: async () => new Map(),
      timeZoneOf: async () => "UTC",
      reportPool: rig.pool,
      reporting: createSlots("statistics", { perUser: 6, total: 24 }),
      pricing: { models: async () => [] },
      routesOf: async () => new Set<string>(),
      keyLimits: async (userId, keyId) =>
        keys.get(keyId) === userId ? { zone: { timeZone: "UTC" }, key: { spend_total: "200" }, account: {} } : undefined,
      rates: { CREDITS: MICRO, CNY: 10n * MICRO },
    });
    app.use(
      mountRoutes(routes, {
        idempotency: createIdempotency(rig.pool),
        authenticate: async (req) => ({
          userId: req.get("x-user") ?? uuidv7(),
          walletId: 1n,
          roles: req.get("x-role") === "operator" ? ["operator"] : ["user"],
          emailVerified: true,
          sessionId: "test",
        }),
      }),
    );
    app.use(errorHandler(silent));
    const server = http.createServer(app).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    close = async () => {
      server.closeAllConnections();
      server.close();
      await sequelize.close();
      await rig.close();
    };
  });
  after(() => close());

  async function get(path: string, userId: string, role = "user", method = "GET"): Promise<Answer> {
    const answer = await fetch(base + path, { method, headers: { "x-user": userId, "x-role": role } });
    return { status: answer.status, body: (await answer.json()) as Answer["body"] };
  }

  it("a person sees own calls only, newest first, with a cost once they are settled", async () => {
    const owner = await rig.wallet(1_000);
    const stranger = await rig.wallet(1_000);
    const settled = await rig.call(owner, { startedAt: new Date(Date.now() - 5_000), keyId: uuidv7(), requestId: "trace-of-the-call" });
    await rig.usage.record(settled);
    await rig.settlement.settleNow(settled.id);
    const waiting = eventOf(owner, { tokens: { input: 10, cachedInput: 5, cacheWrite: 1, output: 3, reasoning: 4 } });
    await rig.usage.record(waiting);
    await rig.usage.record(eventOf(stranger));
    const { body } = await get("/api/user/usage", owner.userId);
    expect(body.data).to.include({ total: 2, page: 1, page_size: 20 });
    const [first, second] = body.data["items"] as Record<string, unknown>[];
    expect(first).to.include({ id: waiting.id, request_id: waiting.id, input_tokens: 16, output_tokens: 7, cost: null, settled_at: null });
    expect(second).to.include({
      id: settled.id,
      request_id: "trace-of-the-call",
      model: "test-model",
      provider: "test",
      input_tokens: 1_500,
      output_tokens: 800,
    });
    expect(second).to.include({ cost: "93", status: "ok", error_code: null, estimated: false });
    expect(second?.["settled_at"]).to.match(/^\d{4}-.*Z$/);
    expect(second).not.to.have.any.keys("wallet_id", "upstream_request_id", "user_id", "uncharged", "attempts", "upstream_cost", "margin");
  });

  it("filters narrow the list, and a wrong filter is named", async () => {
    const owner = await rig.wallet(1_000);
    const tokenId = uuidv7();
    await rig.usage.record(eventOf(owner, { model: "a", tokenId }));
    await rig.usage.record(eventOf(owner, { model: "b", status: "client_gone", startedAt: new Date("2026-01-01T00:00:00Z") }));
    const total = async (query: string) => (await get(`/api/user/usage?${query}`, owner.userId)).body.data["total"] as number;
    expect(await total("model=a")).to.equal(1);
    expect(await total("status=client_gone")).to.equal(1);
    expect(await total("from=2026-01-01&to=2026-01-02")).to.equal(1);
    expect(await total("from=2026-01-02")).to.equal(1);
    expect(await total(`key=${uuidv7()}`)).to.equal(0);
    expect(await total(`token=${tokenId}`)).to.equal(1);
    for (const [query, field] of [
      ["status=broken", "status"],
      ["page_size=101", "page_size"],
      ["from=yesterday", "from"],
      ["user=x", "user"],
      ["key=1", "key"],
    ] as const) {
      const { status, body } = await get(`/api/user/usage?${query}`, owner.userId);
      expect(status, query).to.equal(400);
      expect(JSON.stringify(body.error?.details), query).to.contain(`"${field}"`);
    }
  });

  it("a key's usage has totals, days and what its limits leave; another person's key is not there", async () => {
    const owner = await rig.wallet(1_000);
    const keyId = uuidv7();
    keys.set(keyId, owner.userId);
    for (const startedAt of [new Date("2026-03-01T23:30:00Z"), new Date("2026-03-02T00:30:00Z")]) {
      const event = await rig.call(owner, { keyId, startedAt });
      await rig.usage.record(event);
      await rig.settlement.settleNow(event.id);
    }
    const { body } = await get(`/api/user/keys/${keyId}/usage`, owner.userId);
    expect(body.data["totals"]).to.deep.equal({ requests: 2, failed: 0, input_tokens: 3_000, output_tokens: 1_600, cost: "186" });
    expect(body.data["days"]).to.deep.equal([
      { date: "2026-03-01", requests: 1, failed: 0, input_tokens: 1_500, output_tokens: 800, cost: "93" },
      { date: "2026-03-02", requests: 1, failed: 0, input_tokens: 1_500, output_tokens: 800, cost: "93" },
    ]);
    expect(body.data["budgets"]).to.deep.include({
      of: "key",
      limit: "spend_total",
      amount: "200",
      spent: "186",
      held: "0",
      left: "14",
      resets_at: null,
    });
    expect((await get(`/api/user/keys/${keyId}/usage`, uuidv7())).status).to.equal(404);
  });

  it("operators see everybody's calls; others may not", async () => {
    const owner = await rig.wallet(1_000);
    const event = eventOf(owner, { upstreamRequestId: "up-1" });
    await rig.usage.record(event);
    const { body } = await get(`/api/admin/usage?user=${owner.userId}&settled=false`, uuidv7(), "operator");
    expect(body.data["items"][0]).to.include({ id: event.id, user_id: owner.userId, upstream_request_id: "up-1", price_version_id: "1" });
    expect((await get("/api/admin/usage", owner.userId)).status).to.equal(403);
  });

  it("an operator finds a call that was set aside and sends it back to settlement", async () => {
    const owner = await rig.wallet(1_000);
    const event = await rig.call(owner, { priceVersionId: 99n });
    await rig.usage.record(event);
    await rig.settlement.settleNow(event.id);
    const found = await get("/api/admin/usage/incidents?kind=price_version_missing&open=true", uuidv7(), "operator");
    expect(found.body.data["items"].map((item: { subject: string }) => item.subject)).to.include(event.id);
    const operator = uuidv7();
    expect((await get(`/api/admin/usage/${event.id}/retry`, operator, "operator", "POST")).status).to.equal(200);
    expect((await rig.row(event.id))?.["set_aside_at"]).to.equal(null);
    expect((await get(`/api/admin/usage/${event.id}/retry`, operator, "operator", "POST")).status).to.equal(404);
    expect(
      (await get(`/api/admin/usage/incidents?open=true`, uuidv7(), "operator")).body.data["items"].map(
        (item: { subject: string }) => item.subject,
      ),
    ).not.to.include(event.id);
  });
});
