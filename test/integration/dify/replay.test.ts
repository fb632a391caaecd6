import type { AddressInfo } from "node:net";
import { expect } from "chai";
import express from "express";
import { difyWebhookRouter } from "../../../src/usage/dify/index.ts";
import type { RefusalView } from "../../../src/usage/dify/refusalRoutes.ts";
import { signed } from "../../support/dify.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { message, startDify, type Deduction, type DifyRig, type Page, type Person } from "./rig.ts";

const MICRO = 1_000_000n;
const now = () => Math.floor(Date.now() / 1_000);

describe("a delivery of Dify that was refused as too late", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: DifyRig;

  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
  });
  afterEach(async () => {
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
  after(() => rig.close());

  interface Replayed {
    status: number;
    answer: { data?: Deduction; error?: { code: string } };
  }
  const refusals = async (query: string) =>
    (await rig.admin<Page<RefusalView>>("GET", `/api/admin/dify/refusals?page_size=100&${query}`)).body.data.items;
  const of = async (body: ReturnType<typeof message>, reason = "stale") =>
    (await refusals(`reason=${reason}`)).find((one) => one.body.includes(String(body.data["message_id"])))!;
  const replay = (id: string) => rig.admin<Replayed>("POST", `/api/admin/dify/refusals/${id}/replay`);
  const total = async (person: Person) => (await rig.balance(person)).total;

  async function late(person: Person, data: Record<string, unknown> = {}): Promise<ReturnType<typeof message>> {
    const body = message({ user_id: person.userId, ...data });
    const answer = await rig.send(body, { timestamp: now() - 3_600 });
    expect([answer.status, answer.body.error?.code]).to.deep.equal([401, "request_expired"]);
    return body;
  }

  it("is charged when an operator replays it, once however often, with his name on record", async () => {
    const ada = await rig.person(1_000);
    const body = await late(ada);
    const kept = await of(body);
    expect(kept).to.include({ authenticated: true, replayable: true, replay: null, reason: "stale" });
    expect(await total(ada)).to.equal(1_000n * MICRO);

    const answers = await Promise.all([replay(kept.id), replay(kept.id), replay(kept.id)]);
    for (const { body: said } of answers) {
      expect(said.data).to.include({ status: 200 });
      expect(said.data.answer.data).to.include({ pointsDeducted: 93 });
    }
    expect(await total(ada)).to.equal(907n * MICRO);
    const after = await of(body);
    expect(after).to.include({ replayable: false });
    expect(after.replay).to.include({ status: 200 });
    expect((await rig.send(body)).body.data.pointsDeducted, "the same in time is a repeat").to.equal(93);
    expect(await total(ada)).to.equal(907n * MICRO);
    const { rows } = await rig.pool.query("SELECT DISTINCT action FROM audit_log WHERE target = $1", [`dify_refusal:${kept.id}`]);
    expect(rows).to.deep.equal([{ action: "dify.replay_refusal" }]);
  });

  it("is not charged again when it was charged in time, before or between", async () => {
    const ada = await rig.person(1_000);
    const body = await late(ada);
    expect((await rig.send(body)).status).to.equal(200);
    expect((await replay((await of(body)).id)).body.data.answer.data).to.include({ pointsDeducted: 93 });
    expect(await total(ada)).to.equal(907n * MICRO);
  });

  it("is kept whole, however long, and taken whole", async () => {
    const ada = await rig.person(1_000);
    const body = await late(ada, { extra: "x".repeat(50_000) });
    const kept = await of(body);
    expect(kept.body_bytes).to.be.greaterThan(50_000);
    expect(kept.body.length).to.be.at.most(8_192);
    expect((await replay(kept.id)).body.data.status).to.equal(200);
    expect(await total(ada)).to.equal(907n * MICRO);
  });

  it("of a user whom nobody knows becomes an open event", async () => {
    const ghost = { userId: `ghost-${now()}`, walletId: 0n };
    const body = await late(ghost);
    const { body: said } = await replay((await of(body)).id);
    expect([said.data.status, said.data.answer.error?.code]).to.deep.equal([404, "user_not_found"]);
  });

  it("about a message of more than 30 days ago stays refused, and says so", async () => {
    const ada = await rig.person(1_000);
    const body = await late(ada, { timestamp: new Date(Date.now() - 31 * 86_400_000).toISOString() });
    const answer = await replay((await of(body)).id);
    expect([answer.status, answer.body.error?.code]).to.deep.equal([400, "validation_failed"]);
    expect(answer.body.message).to.contain("30 days");
    expect(await total(ada)).to.equal(1_000n * MICRO);
    expect((await of(body)).replay).to.equal(null);
  });

  it("is replayed with all others of a time, none twice", async () => {
    const ada = await rig.person(10_000);
    const from = new Date().toISOString();
    for (let n = 0; n < 5; n++) await late(ada);
    await late(ada, { input_tokens: -1 });
    const all = () =>
      rig.admin<{ tried: number; charged: number; open: number; refused: number }>("POST", "/api/admin/dify/refusals/replay", {
        reason: "stale",
        from,
      });
    expect((await all()).body.data).to.deep.equal({ tried: 6, charged: 5, open: 0, refused: 1 });
    expect(await total(ada)).to.equal((10_000n - 5n * 93n) * MICRO);
    expect((await all()).body.data).to.include({ tried: 1, charged: 0 });
    expect(await total(ada)).to.equal((10_000n - 5n * 93n) * MICRO);
  });

  it("or that met a fault of ours, is kept whole and charged when it is replayed", async () => {
    const ada = await rig.person(1_000);
    const body = message({ user_id: ada.userId });
    const raw = JSON.stringify(body);
    const broken = { ...rig.webhook, intake: { take: () => Promise.reject(new Error("a fault")) } };
    const server = express().use(difyWebhookRouter(broken)).listen(0, "127.0.0.1");
    try {
      await new Promise((resolve) => server.once("listening", resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      expect((await fetch(url, { method: "POST", headers: signed(raw), body: raw })).status).to.equal(500);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    await waitFor(async () => (await of(body, "failed")) !== undefined, { message: "the delivery to be kept" });
    const kept = await of(body, "failed");
    expect(kept).to.include({ authenticated: true, replayable: true, status: 500 });
    expect((await replay(kept.id)).body.data.answer.data).to.include({ pointsDeducted: 93 });
    expect(await total(ada)).to.equal(907n * MICRO);
  });

  it("that was forged, unsigned or malformed is never replayed, by one or all, whatever the table is told", async () => {
    const ada = await rig.person(1_000);
    const body = message({ user_id: ada.userId });
    const raw = JSON.stringify(body);
    await rig.send(body, { secret: "somebody-elses-secret" });
    await rig.send(body, { secret: "somebody-elses-secret", timestamp: now() - 3_600 });
    await rig.send(body, { signature: null });
    await rig.send(body, { key: "somebody-elses-key-01" });
    await rig.raw(raw.slice(0, -1), signed(raw.slice(0, -1)));
    await waitFor(async () => (await refusals("")).length >= 4 && (await of(body, "forged")) !== undefined, {
      message: "all to be recorded",
    });
    for (const one of await refusals("")) {
      if (!one.body.includes(String(body.data["message_id"])) && one.authenticated) continue;
      expect(one.replayable, one.reason).to.equal(false);
      const answer = await replay(one.id);
      expect([answer.status, answer.body.error?.code], one.reason).to.deep.equal([409, "invalid_state"]);
    }
    const forged = await of(body, "forged");
    for (const change of ["authenticated = true", "reason = 'stale'", "body = 'x'", "authenticated = true, reason = 'stale'"]) {
      const refused = await rig.pool
        .query(`UPDATE dify_refusals SET ${change} WHERE id = $1`, [forged.id])
        .catch((error: unknown) => error);
      expect(refused, change).to.have.property("code", "23001");
    }
    await rig.admin("POST", "/api/admin/dify/refusals/replay", {});
    expect(await total(ada)).to.equal(1_000n * MICRO);
    expect((await replay("123456789")).status).to.equal(404);
  });
});
