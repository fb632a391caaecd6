import { expect } from "chai";
import { Worker } from "@temporalio/worker";
import type { WorkflowHandle } from "@temporalio/client";
import { workflowBundle } from "../../../temporal/bundle.ts";
import type { RenderView } from "../../../workflows/renderTaskState.ts";
import { prove, startRig, type Person, type Rig } from "../../integration/render/rig.ts";
import { saveHistory } from "../../support/histories.ts";
import { useStack, waitFor } from "../../support/stack.ts";

/** Set to the name of a release, it keeps what ran here for the replay tests. */
const RELEASE = process.env["RECORD_HISTORIES"];

describe("the workflow of a render task", function () {
  this.timeout(120_000);
  const places = useStack({ namespace: true });
  let rig: Rig;
  let ada: Person;

  before(async () => {
    rig = await startRig({ places });
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  const handleOf = (task: { workflow_id: string }) => rig.client.workflow.getHandle(task.workflow_id);

  async function inspect(handle: WorkflowHandle, name: string): Promise<number> {
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, handle.workflowId);
    if (RELEASE) await saveHistory(handle, name, RELEASE);
    return history.events?.length ?? 0;
  }

  it("renders, charges and hands out every frame, and gives back what it did not need", async () => {
    const task = await ada.task({ settings: { seconds_per_frame: 0.2, estimated_seconds: 1 } });
    expect(task.held).to.equal(task.estimated_cost);
    const done = await ada.until(task, "completed");
    // 3 frames of 0.01 + 64 * 36 / 1e6 * 0.0001 + 0.2 s * 0.01, each rounded up to a micro-credit.
    expect(done).to.include({ cost: "0.036003", held: "0", progress: 100, done_frames: 3, current_frame: 3 });
    expect(await ada.balance()).to.deep.equal({ available: "999.963997", held: "0", total: "999.963997" });
    const frames = await ada.frames(task);
    expect(frames.map(({ frame, status, cost, attempts }) => ({ frame, status, cost, attempts }))).to.deep.equal(
      [1, 2, 3].map((frame) => ({ frame, status: "completed", cost: "0.012001", attempts: 1 })),
    );
    for (const { file_id } of frames) expect((await rig.files.bytes(file_id!)).length).to.be.greaterThan(100);
    expect(await handleOf(task).result()).to.deep.include({ state: "completed", done: 3 });
    await inspect(handleOf(task), "renderTask-completed");
  });

  it("can be found by its owner and its state, and says what it is", async () => {
    const task = await ada.task();
    await ada.until(task, "completed");
    await waitFor(async () => {
      for await (const one of rig.client.workflow.list({ query: `UserId = "${ada.id}" AND TaskState = "completed"` }))
        if (one.workflowId === task.workflow_id) return true;
      return false;
    });
    expect(await (await handleOf(task).describe()).staticSummary()).to.equal("3 frames of 64 × 36 by simulate");
    expect(await handleOf(task).query<RenderView>("progress")).to.deep.include({ state: "completed", done: 3, total: 3 });
  });

  it("pauses: frames under way are finished and charged, no other begins; resumes and completes", async () => {
    const task = await ada.task({ frame_end: 12, settings: { seconds_per_frame: 0.7 } });
    await waitFor(async () => (await ada.read(task)).done_frames >= 1, { timeoutMs: 30_000 });
    expect((await ada.call("POST", `/api/tasks/${task.id}/pause`)).status).to.equal(200);
    await waitFor(async () => (await handleOf(task).query<RenderView>("progress")).underWay === 0, { timeoutMs: 20_000 });
    const resting = await waitFor(async () => {
      const seen = await ada.read(task);
      return seen.done_frames === (await ada.frames(task)).filter(({ status }) => status === "completed").length && seen;
    });
    expect(resting).to.include({ status: "paused", reason: "asked" });
    expect((await ada.read(task)).held).to.not.equal("0");
    expect((await ada.call("POST", `/api/tasks/${task.id}/resume`)).status).to.equal(200);
    const done = await ada.until(task, "completed");
    expect(done.done_frames).to.equal(12);
    expect((await ada.frames(task)).every(({ attempts }) => attempts === 1)).to.equal(true);
    await inspect(handleOf(task), "renderTask-paused");
  });

  it("is cancelled within five seconds, charges what is finished and releases the rest", async () => {
    const task = await ada.task({ frame_end: 50, settings: { seconds_per_frame: 3 } });
    await waitFor(async () => (await ada.read(task)).done_frames >= 1, { timeoutMs: 30_000 });
    const began = Date.now();
    const answer = await ada.call<{ status: string }>("POST", `/api/tasks/${task.id}/cancel`);
    expect(answer.status).to.equal(200);
    expect(answer.data.status).to.equal("cancelled");
    const took = Date.now() - began;
    expect(took).to.be.lessThan(5_000);
    const after = await ada.read(task);
    expect(after.held).to.equal("0");
    const paid = (await ada.frames(task)).filter(({ status }) => status === "completed").length;
    expect(after.done_frames).to.equal(paid);
    expect((await ada.balance()).total).to.equal((1000 - Number(after.cost)).toString());
    await inspect(handleOf(task), "renderTask-cancelled");
  });

  it("fails when a frame cannot be rendered, pays for finished frames only, and says which", async () => {
    const task = await ada.task({ frame_end: 6, settings: { fail_frames: [4], seconds_per_frame: 2 } });
    const failed = await ada.until(task, "failed");
    expect(failed).to.include({ reason: "frame_failed", message: "Frame 4: frame 4 is set to fail", held: "0" });
    const frames = await ada.frames(task);
    expect(frames.filter(({ status }) => status === "completed").map(({ frame }) => frame)).to.include.members([1, 2]);
    expect(frames.find(({ frame }) => frame === 4)).to.include({ status: "failed", file_id: null, cost: null });
    await inspect(handleOf(task), "renderTask-failed");
  });

  it("tries a frame again that may succeed the next time", async () => {
    const task = await ada.task({ frame_end: 2, settings: { fail_once: [2] } });
    await ada.until(task, "completed");
    expect((await ada.frames(task)).map(({ attempts }) => attempts)).to.deep.equal([1, 2]);
  });

  it("costs more than estimated: stops at the wallet, says so, and goes on after a top-up", async () => {
    const poor = await rig.person("0.05");
    const task = await poor.task({ frame_end: 4, settings: { seconds_per_frame: 2.5, estimated_seconds: 0 } });
    expect(task.estimated_cost).to.equal("0.040004");
    const paused = await poor.until(task, "paused");
    expect(paused.reason).to.equal("insufficient_balance");
    expect(paused.message).to.match(/^the wallet lacks [\d.]+ credits/);
    expect(Number((await poor.balance()).total)).to.be.at.least(0);
    const refused = await poor.call("POST", `/api/tasks/${task.id}/resume`);
    expect([refused.status, refused.error.code]).to.deep.equal([402, "insufficient_balance"]);
    await poor.credit("10");
    expect((await poor.call("POST", `/api/tasks/${task.id}/resume`)).status).to.equal(200);
    const done = await poor.until(task, "completed");
    // 4 frames of 0.01 + 0.025 and the samples.
    expect(done.cost).to.equal("0.140004");
    expect((await poor.balance()).total).to.equal("9.909996");
    expect((await poor.frames(task)).every(({ attempts }) => attempts === 1)).to.equal(true);
    await inspect(handleOf(task), "renderTask-unpaid");
  });
});
