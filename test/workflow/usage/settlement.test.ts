import { defineSearchAttributeKey } from "@temporalio/common";
import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { settlementWorkflowId, startSettlements } from "../../../src/usage/index.ts";
import type { usageSettlement } from "../../../workflows/index.ts";
import type { SettlementLag } from "../../../workflows/usageSettlement.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { workerRig, type WorkerRig } from "../../support/usageWorker.ts";

describe("the settlement workflow", () => {
  const places = useStack({ namespace: true });
  let rig: WorkerRig;
  before(async () => {
    rig = await workerRig({ url: places.databaseUrl, address: places.temporalAddress, namespace: places.namespace });
  });
  after(() => rig.close());

  const handle = () => rig.client.workflow.getHandle<typeof usageSettlement>(settlementWorkflowId(0));
  const settled = async (id: string) => Boolean((await rig.row(id))?.["settled_at"]);
  const lag = () => handle().query<SettlementLag, []>("lag");
  async function recorded(credits = 1_000) {
    const owner = await rig.wallet(credits);
    const event = await rig.call(owner);
    await rig.usage.record(event);
    return { ...event, owner };
  }

  it("is started by the first recorded call, and that call is settled", async () => {
    const event = await recorded();
    await waitFor(() => settled(event.id), { timeoutMs: 30_000 });
    expect((await rig.ledger.balance(event.owner.walletId)).total).to.equal(907n * MICRO);
  });

  it("settles a call of a quiet system within a second", async () => {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      // Every round begins with nothing running, so that the whole way from the nudge on is measured.
      await waitFor(async () => (await rig.pool.query("SELECT 1 FROM settlement_shards WHERE draining_until > now()")).rowCount === 0);
      const event = await recorded();
      await waitFor(() => settled(event.id), { timeoutMs: 10_000, everyMs: 10 });
      const { settled_at, recorded_at } = (await rig.row(event.id)) as { settled_at: Date; recorded_at: Date };
      times.push(settled_at.getTime() - recorded_at.getTime());
    }
    expect(times.sort((a, b) => a - b)[2], `milliseconds: ${times.join(", ")}`).to.be.lessThan(1_000);
  });

  it("a second start of the same shard changes nothing", async () => {
    const before = (await handle().describe()).runId;
    await startSettlements(rig.client, 1, "billing");
    await startSettlements(rig.client, 1, "billing");
    expect((await handle().describe()).runId).to.equal(before);
  });

  it("operators can find it by its shard and read what it does", async () => {
    await waitFor(async () => {
      for await (const found of rig.client.workflow.list({ query: "Shard = 0 AND WorkflowType = 'usageSettlement'" }))
        return found.workflowId === "settlement-0";
      return false;
    });
    expect(await lag()).to.include({ shard: 0, paused: false, pending: 0, setAside: 0 });
  });

  it("paused it charges nothing and says so; drained by hand it charges once; resumed it goes on", async () => {
    await handle().signal("pause");
    await waitFor(async () => (await lag()).paused);
    const first = await recorded();
    expect((await handle().describe()).typedSearchAttributes.get(defineSearchAttributeKey("TaskState", "KEYWORD"))).to.equal("paused");
    expect(await settled(first.id)).to.equal(false);
    await handle().signal("drain");
    await waitFor(() => settled(first.id));
    const second = await recorded();
    expect(await settled(second.id)).to.equal(false);
    await handle().signal("resume");
    await waitFor(() => settled(second.id));
    expect((await lag()).paused).to.equal(false);
  });

  it("begins a new history after its rounds and keeps what it knows", async () => {
    const other = await rig.client.workflow.start<typeof usageSettlement>("usageSettlement", {
      workflowId: "settlement-anew",
      taskQueue: "billing",
      args: [{ shard: 7, maxRounds: 2, idleMs: 50, settled: 41 }],
    });
    const first = other.firstExecutionRunId;
    await waitFor(async () => (await rig.client.workflow.getHandle("settlement-anew").describe()).runId !== first, { timeoutMs: 30_000 });
    expect((await rig.client.workflow.getHandle("settlement-anew").query<SettlementLag, []>("lag")).settled).to.equal(41);
    await rig.client.workflow.getHandle("settlement-anew").terminate();
  });

  it("many calls recorded at once, two workers: every one is charged once, and Temporal hears of few of them", async () => {
    const second = rig.anotherWorker();
    const owner = await rig.wallet(100_000);
    const events = await Promise.all(Array.from({ length: 300 }, () => rig.call(owner, {}, 93)));
    const history = async () => (await handle().describe()).historyLength;
    const before = await history();
    await Promise.all(events.map((event) => rig.usage.record(event)));
    await waitFor(async () => (await rig.ledger.balance(owner.walletId)).held === 0n, { timeoutMs: 20_000 });
    expect((await rig.ledger.balance(owner.walletId)).total).to.equal((100_000n - 300n * 93n) * MICRO);
    expect((await history()) - before).to.be.lessThan(60);
    await second.stop();
    expect((await rig.ledger.verify()).balanced).to.equal(true);
  });
});
