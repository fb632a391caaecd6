import { expect } from "chai";
import type { WorkflowHandle } from "@temporalio/client";
import { Worker } from "@temporalio/worker";
import { workflowBundle } from "../../../temporal/bundle.ts";
import { prove, QUICK, startRig, startSandbox, KEY, type Person, type Rig, type Sandbox } from "../../integration/payments/rig.ts";
import { saveHistory } from "../../support/histories.ts";
import { useStack, waitFor } from "../../support/stack.ts";

/** Set to the name of a release, it keeps what ran here for the replay tests. */
const RELEASE = process.env["RECORD_HISTORIES"];

/** Everything that workflow and activities were given and answered, as text. */
function payloads(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return typeof value === "string" ? [value] : [];
  if (value instanceof Uint8Array) return [Buffer.from(value).toString()];
  return Object.values(value).flatMap(payloads);
}

describe("the workflow of a top-up", function () {
  this.timeout(90_000);
  const places = useStack({ namespace: true });
  let sandbox: Sandbox;
  let rig: Rig;
  let ada: Person;

  before(async () => {
    sandbox = await startSandbox({ TOPUP_ORDER_TTL: "2s" });
    rig = await startRig({ places, sandbox: sandbox.url, config: { TOPUP_ORDER_TTL: 2_000 }, timings: { ...QUICK, lateWatchMs: 3_000 } });
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  after(async () => {
    await prove(rig);
    await rig.close();
  });

  const handleOf = (order: { order_no: string }) => rig.client.workflow.getHandle(`topup-${order.order_no}`);

  /** The history can be replayed, holds no secret, and is kept when asked. */
  async function inspect(handle: WorkflowHandle, name: string): Promise<string> {
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, handle.workflowId);
    if (RELEASE) await saveHistory(handle, name, RELEASE);
    const decoded = payloads(history).join("\n");
    expect(decoded).to.not.contain(KEY);
    return decoded;
  }

  it("completes on a callback and can be found by its order and its user", async () => {
    const order = await ada.order();
    await sandbox.pay(order.order_no, "ok");
    const result = await handleOf(order).result();
    expect(result).to.deep.equal({ orderNo: order.order_no, status: "completed", late: false });
    const decoded = await inspect(handleOf(order), "topUp-callback");
    expect(decoded).to.not.match(/"sign"/);
    await waitFor(async () => {
      const found = [];
      for await (const one of rig.client.workflow.list({ query: `OrderNo = "${order.order_no}" AND UserId = "${ada.id}"` }))
        found.push(one.workflowId);
      return found.includes(`topup-${order.order_no}`);
    });
    const description = await handleOf(order).describe();
    expect(await description.staticSummary()).to.equal("Top-up 50.00 CNY by epay");
  });

  it("completes by asking when no callback comes", async () => {
    const order = await ada.order();
    await sandbox.pay(order.order_no, "lost");
    expect(await handleOf(order).result()).to.include({ status: "completed" });
    await inspect(handleOf(order), "topUp-polled");
  });

  it("ends as expired, or is completed late while it watches", async () => {
    const unpaid = await ada.order();
    const late = await ada.order();
    await rig.until(late, "expired");
    await sandbox.pay(late.order_no, "lost");
    expect(await handleOf(late).result()).to.deep.equal({ orderNo: late.order_no, status: "completed", late: true });
    expect(await handleOf(unpaid).result()).to.include({ status: "expired" });
    await inspect(handleOf(unpaid), "topUp-expired");
    await inspect(handleOf(late), "topUp-late");
  });

  it("is cancelled by an update, and refuses it when it is over", async () => {
    const order = await ada.order();
    expect(await handleOf(order).executeUpdate("cancel")).to.include({ status: "cancelled" });
    const refused = await handleOf(order)
      .executeUpdate("cancel")
      .then(
        () => "accepted",
        (error: { cause?: { type?: string } }) => error.cause?.type,
      );
    expect(refused).to.equal("NotCancellable");
    await handleOf(order).result();
    await inspect(handleOf(order), "topUp-cancelled");
  });

  it("goes on after a wrong sum and a second payment", async () => {
    const order = await ada.order();
    await sandbox.pay(order.order_no, "wrong_amount");
    await sandbox.pay(order.order_no, "twice");
    expect(await handleOf(order).result()).to.include({ status: "completed" });
    await inspect(handleOf(order), "topUp-wrongAmount");
    expect(await ada.total()).to.equal("500");
  });

  it("outlives a provider that does not answer", async () => {
    const order = await ada.order();
    sandbox.stop();
    await waitFor(async () => ((await handleOf(order).query<{ queries: number }>("view")).queries ?? 0) >= 2, { message: "two questions" });
    expect(await rig.status(order)).to.be.oneOf(["pending", "expired"]);
    expect(await handleOf(order).result()).to.include({ status: "expired" });
    await inspect(handleOf(order), "topUp-providerAway");
  });

  it("begins its history anew when it has become long, and goes on where it was", async () => {
    const other = await startSandbox();
    const long = await startRig({ places, sandbox: other.url, timings: { ...QUICK, queriesPerRun: 3 }, taskQueue: "billing-long" });
    try {
      const bob = await long.person();
      const order = await bob.order();
      const first = await long.client.workflow.getHandle(`topup-${order.order_no}`).describe();
      const handle = long.client.workflow.getHandle(`topup-${order.order_no}`);
      await waitFor(async () => (await handle.describe()).runId !== first.runId, { message: "another run" });
      await inspect(long.client.workflow.getHandle(`topup-${order.order_no}`, first.runId), "topUp-continued");
      await other.pay(order.order_no, "lost");
      expect(await handle.result()).to.include({ status: "completed" });
      expect(await bob.total()).to.equal("500");
    } finally {
      await long.close();
    }
  });

  it("of the sweep runs as a workflow", async () => {
    const result = await rig.client.workflow.execute("callbackDelivery", {
      workflowId: "callback-delivery-test",
      taskQueue: "billing",
      args: [],
    });
    expect(result).to.deep.equal({ delivered: 0, restarted: 0 });
    await inspect(rig.client.workflow.getHandle("callback-delivery-test"), "callbackDelivery");
  });
});
