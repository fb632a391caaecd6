import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { SCHEDULES } from "../../../temporal/schedules.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { ensureSchedules, workerRig, type WorkerRig } from "../../support/usageWorker.ts";

describe("scheduled work", () => {
  const places = useStack({ namespace: true });
  let rig: WorkerRig;
  before(async () => {
    rig = await workerRig({ url: places.databaseUrl, address: places.temporalAddress, namespace: places.namespace, shards: 2 });
  });
  after(async () => {
    for (const { id } of SCHEDULES)
      await rig.client.schedule
        .getHandle(id)
        .delete()
        .catch(() => undefined);
    await rig.close();
  });
  const every = async (id: string) => (await rig.client.schedule.getHandle(id).describe()).spec.intervals?.[0]?.every;

  it("schedules are made once, whoever starts first, and a changed interval is corrected", async () => {
    await Promise.all([1, 2].map(() => ensureSchedules(rig.client, { taskQueue: "billing" })));
    expect(await every("hold-sweep")).to.equal(30_000);
    expect(await every("grant-expiry")).to.equal(3_600_000);
    await ensureSchedules(rig.client, { taskQueue: "billing", everyMs: { "hold-sweep": 1_000 } });
    expect(await every("hold-sweep")).to.equal(1_000);
    expect(await every("grant-expiry")).to.equal(3_600_000);
  });

  it("credit held by a call that died is free again, and every shard has its settlement", async () => {
    await ensureSchedules(rig.client, { taskQueue: "billing", everyMs: { "hold-sweep": 1_000 } });
    const owner = await rig.wallet(100);
    await rig.ledger.authorize({ id: uuidv7(), walletId: owner.walletId, amount: 60n * MICRO, owner: "gone", ttlMs: 1 });
    await waitFor(async () => (await rig.ledger.balance(owner.walletId)).held === 0n, { timeoutMs: 30_000 });
    expect((await rig.ledger.balance(owner.walletId)).available).to.equal(100n * MICRO);
    for (const shard of [0, 1])
      await waitFor(async () => (await rig.client.workflow.getHandle(`settlement-${shard}`).describe()).status.name === "RUNNING");
  });

  it("grants whose time is over are expired", async () => {
    const owner = await rig.wallet(10);
    await rig.ledger.credit(rig.pool, {
      id: `grant:${owner.userId}`,
      walletId: owner.walletId,
      amount: 5n * MICRO,
      from: "grants:welcome",
      source: "bonus",
      type: "BONUS",
      expiresAt: new Date(Date.now() + 50),
      description: "short",
    });
    await waitFor(
      async () => {
        await rig.client.schedule.getHandle("grant-expiry").trigger();
        const { items } = await rig.ledger.history(owner.walletId, { types: ["EXPIRY"] }, { page: 1, pageSize: 5 });
        return items.length === 1;
      },
      { timeoutMs: 30_000, everyMs: 500 },
    );
  });
});
