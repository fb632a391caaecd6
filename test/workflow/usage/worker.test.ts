import { Client, Connection } from "@temporalio/client";
import { expect } from "chai";
import { createUsageActivities } from "../../../activities/usage.ts";
import { startWorker, type RunningWorker } from "../../../src/main/worker-runtime.ts";
import { BILLING_QUEUE, startSettlements } from "../../../src/usage/index.ts";
import { interruptible } from "../../support/proxy.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";

describe("the worker", () => {
  const places = useStack({ namespace: true });
  let connection: Connection;
  let client: Client;
  const workers: RunningWorker[] = [];
  before(async () => {
    connection = await Connection.connect({ address: places.temporalAddress });
    client = new Client({ connection, namespace: places.namespace });
  });
  after(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await connection.close();
  });

  const settled = { settled: 0, setAside: 0, batches: 0, pending: 0, oldestPendingAt: null };
  function start(more: { address?: string; buildId?: string; drained?: () => void; onConnected?: () => Promise<void> }): RunningWorker {
    const worker = startWorker({
      address: more.address ?? places.temporalAddress,
      namespace: places.namespace,
      buildId: more.buildId,
      taskQueue: BILLING_QUEUE,
      activities: createUsageActivities({
        drain: async () => {
          more.drained?.();
          return settled;
        },
        housekeeping: {
          sweepHolds: async () => ({ released: 0 }),
          keepHouse: async () => ({
            partitionsMade: 0,
            keysForgotten: 0,
            holdsForgotten: 0,
            budgetsForgotten: 0,
            resharded: 0,
            estimatesCorrected: 0,
          }),
          expireGrants: async () => ({ expired: 0 }),
        },
        startSettlements: async () => undefined,
      }),
      client,
      onConnected: more.onConnected,
      graceMs: 2_000,
      log: silent,
    });
    workers.push(worker);
    return worker;
  }

  it("starts while Temporal is away, and works as soon as it is there", async () => {
    const [host = "127.0.0.1", port] = places.temporalAddress.split(":");
    const proxy = await interruptible(Number(port), host, { open: false });
    let connected = 0;
    const worker = start({ address: `127.0.0.1:${proxy.port}`, onConnected: async () => void (connected += 1) });
    await waitFor(() => proxy.refused() >= 2);
    expect(worker.running).to.equal(false);
    proxy.heal();
    await waitFor(() => worker.running && connected === 1);
    const run = await client.workflow.start("grantExpiry", { workflowId: "away", taskQueue: BILLING_QUEUE });
    expect(await run.result()).to.deep.equal({ expired: 0 });
    await worker.stop();
    await proxy.close();
  });

  it("a stop ends quickly while Temporal is away", async () => {
    const worker = start({ address: "127.0.0.1:1" });
    const began = performance.now();
    await worker.stop();
    expect(performance.now() - began).to.be.lessThan(3_000);
  });

  it("with build ids, a new release takes over what lasts for ever, and an old copy that restarts does not take it back", async () => {
    const drains = { one: 0, two: 0 };
    const first = start({ buildId: "one", drained: () => (drains.one += 1) });
    await waitFor(() => first.running);
    await startSettlements(client, 1, BILLING_QUEUE);
    await waitFor(() => drains.one > 0, { timeoutMs: 20_000 });

    start({ buildId: "two", drained: () => (drains.two += 1) });
    await waitFor(
      async () => {
        await client.workflow.getHandle("settlement-0").signal("nudge");
        return drains.two > 0;
      },
      { timeoutMs: 30_000, everyMs: 250 },
    );

    await first.stop();
    const again = start({ buildId: "one", drained: () => (drains.one += 1) });
    await waitFor(() => again.running);
    const { one, two } = { ...drains };
    await waitFor(
      async () => {
        await client.workflow.getHandle("settlement-0").signal("nudge");
        return drains.two > two + 2;
      },
      { timeoutMs: 20_000, everyMs: 250 },
    );
    expect(drains.one).to.equal(one);
  });
});
