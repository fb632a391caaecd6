import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { behaviourSince } from "../../../src/usage/behaviour.ts";
import { correctEstimates } from "../../../src/usage/estimates.ts";
import { lastMinute } from "../../../src/usage/lastMinute.ts";
import { usedByModel } from "../../../src/usage/periods.ts";
import { dearestCalls, endings } from "../../../src/usage/reports/calls.ts";
import { readMixes, readRecent, readRepeated } from "../../../src/usage/reports/hints/facts.ts";
import { servedCalls } from "../../../src/usage/served.ts";
import { chargedSince, usedSince } from "../../../src/usage/spent.ts";
import { sumsBy } from "../../../src/usage/stats/sums.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { eventOf } from "../../support/usage.ts";
import { startUsageApi, type Owner, type UsageApi } from "./api.ts";

interface List {
  items: { request_id: string; cost: string | null; error_code: string | null }[];
  total: number;
}

describe("a message that was charged before its call ended", function () {
  this.timeout(30_000);
  const places = useStack();
  let api: UsageApi;
  let ada: Owner;
  const [model, provider, key] = [`model-${uuidv7()}`, uuidv7(), uuidv7()];
  const requestId = `request-${uuidv7()}`;
  let startedAt: Date;
  let from: Date;
  let to: Date;

  before(async () => {
    api = await startUsageApi({ databaseUrl: places.databaseUrl });
    const { rig } = api;
    ada = await rig.wallet(1_000);
    startedAt = new Date();
    [from, to] = [new Date(startedAt.getTime() - 60_000), new Date(startedAt.getTime() + 60_000)];
    // The message as it was charged, and the relay's call beside it, whose provider wants its money all the same.
    await api.settle([[ada, { model, keyId: key, startedAt }]]);
    const calls = (await usedSince(rig.pool, `user:${ada.userId}`, from)).requests;
    rig.usage.recordFailure({
      ...eventOf(ada, {
        model,
        keyId: key,
        startedAt,
        requestId,
        providerId: provider,
        errorCode: "charged_before",
        estimatedInputTokens: 100,
      }),
      tokens: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 },
      attempts: [
        {
          providerId: provider,
          provider: "apps",
          upstreamModel: "app",
          status: "ok",
          startedMs: 0,
          firstByteMs: 1,
          durationMs: 5,
          cost: 7n,
          currency: "USD",
        },
      ],
    });
    expect(calls).to.equal(1n);
    await waitFor(
      async () =>
        (await rig.pool.query("SELECT FROM usage_events WHERE error_code = 'charged_before' AND user_id = $1", [ada.userId])).rowCount ===
        1,
      { message: "the call to be recorded" },
    );
  });
  after(() => api.close());

  it("is one request in statistics by model, key, day and hour, of whole and of broken hours", async () => {
    const day = 86_400_000;
    const wide = {
      from: new Date(Math.floor(startedAt.getTime() / day) * day),
      to: new Date((Math.floor(startedAt.getTime() / day) + 1) * day),
    };
    for (const range of [{ from, to }, wide]) {
      for (const zone of ["UTC", "Asia/Kathmandu"]) {
        for (const group of ["model", "key", "day", "hour", "user"] as const) {
          const sums = await sumsBy(api.rig.pool, group, range, zone, { user: ada.userId });
          expect(
            sums.map(({ requests, cost }) => [requests, cost]),
            `${group} ${zone}`,
          ).to.deep.equal([[1n, 93_000_000n]]);
        }
      }
    }
  });

  it("is one request of its user and key, and of its month", async () => {
    for (const owner of [`user:${ada.userId}`, `key:${key}`]) {
      expect(await usedSince(api.rig.pool, owner, from)).to.include({ requests: 1n, cost: 93_000_000n });
    }
    expect((await chargedSince(api.rig.pool, `user:${ada.userId}`, from)).map(({ requests }) => requests)).to.deep.equal([1n]);
    const [models] = await usedByModel(api.rig.pool, [{ userId: ada.userId, from, until: to }]);
    expect(models!.map(({ requests, tokens }) => [requests, tokens])).to.deep.equal([[1n, 2_300n]]);
  });

  it("is one call in the lists and the file, and operators find the other by its request id", async () => {
    const list = async (path: string, role?: "operator") => (await api.get<List>(path, ada, role)).data;
    for (const [path, role] of [
      ["/api/user/usage", undefined],
      [`/api/admin/usage?user=${ada.userId}`, "operator"],
    ] as const) {
      expect(await list(path, role)).to.deep.include({ total: 1 });
    }
    const { body } = await api.text("/api/user/usage/export.csv", ada);
    expect(body.trim().split("\n")).to.have.length(2);
    const asked = await list(`/api/admin/usage?request_id=${requestId}`, "operator");
    expect(asked.items.map(({ error_code, cost }) => [error_code, cost])).to.deep.equal([["charged_before", "0"]]);
    expect((await servedCalls(api.rig.pool, { userId: ada.userId }, 10, 100)).total).to.equal(1);
  });

  it("is one call in reports, hints, behaviour and the last minute", async () => {
    const { pool } = api.rig;
    expect((await endings(pool, ada.userId, { from, to })).map(({ calls, error_code }) => [calls, error_code])).to.deep.equal([[1, null]]);
    expect(await dearestCalls(pool, ada.userId, { from, to }, 10)).to.have.length(1);
    expect((await readMixes(pool, ada.userId, { from, to })).map(({ calls }) => calls)).to.deep.equal([1]);
    expect((await readRepeated(pool, ada.userId, { from, to })).map(({ calls }) => calls)).to.deep.equal([1]);
    expect(await readRecent(pool, ada.userId, from, 10)).to.have.length(1);
    expect((await behaviourSince(pool, [ada.userId], from)).get(ada.userId)).to.include({ calls: 1 });
    expect((await lastMinute(pool)).calls).to.deep.equal({ ok: 1, client_gone: 0, failed: 0 });
  });

  it("says nothing of how far prompts are taken to be off", async () => {
    await api.rig.pool.query(
      `INSERT INTO usage_events SELECT (jsonb_populate_record(u, jsonb_build_object('id', gen_random_uuid()))).* FROM usage_events u, generate_series(1, 30)
       WHERE u.error_code = 'charged_before'`,
    );
    expect(await correctEstimates(api.rig.pool)).to.equal(0);
  });

  it("costs at the provider what it cost there", async () => {
    const { rows } = await api.rig.pool.query(
      "SELECT requests, sale, attempts, cost FROM usage_upstream_hourly WHERE model = $1 AND provider_id = $2",
      [model, provider],
    );
    expect(rows).to.deep.equal([{ requests: 0n, sale: 0n, attempts: 1n, cost: 7n }]);
  });
});
