import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { renewHolds } from "../../../src/render/index.ts";
import { hmacSha256 } from "../../../src/platform/secrets.ts";
import type { RenderView } from "../../../workflows/renderTaskState.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { prove, request, startRig, type Frame, type Page, type Person, type Rig, type Task } from "./rig.ts";

describe("render tasks when something dies", function () {
  this.timeout(120_000);
  const places = useStack({ namespace: true });
  let rig: Rig;
  let ada: Person;

  before(async () => {
    rig = await startRig({ places, pausesMs: [50, 50] });
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  const handleOf = (task: { workflow_id: string }) => rig.client.workflow.getHandle(task.workflow_id);

  it("Temporal is away: 503, and neither a task nor a hold is left behind", async () => {
    const alone = await startRig({ places, workers: false, temporalAddress: "127.0.0.1:1" });
    try {
      const eve = await alone.person();
      const answer = await eve.call("POST", "/api/tasks", request());
      expect([answer.status, answer.error.code]).to.deep.equal([503, "unavailable"]);
      expect(await eve.balance()).to.deep.equal({ available: "1000", held: "0", total: "1000" });
      expect((await eve.call<Page<Task>>("GET", "/api/tasks")).data.total).to.equal(0);
    } finally {
      await alone.close();
    }
  });

  it("the api dies between hold and start: housekeeping starts the work, or the same request sent again does", async () => {
    const lost = async (key: string) => {
      const [task] = [await ada.task({}, { "idempotency-key": key })];
      await ada.until(task, "completed");
      // As if only the transaction of task and hold had happened.
      const held = (await rig.pool.query<{ id: string }>("SELECT gen_random_uuid() AS id")).rows[0]!.id;
      const made = (
        await rig.pool.query<{ id: string }>(
          `INSERT INTO render_tasks (id, user_id, wallet_id, request_key, name, engine, settings, frame_start, frame_end, frame_step, width, height,
           samples, output_format, priority, parallel, price_id, frame_seconds, frame_estimate, estimated_cost, hold_id, total_frames, created_at)
         SELECT gen_random_uuid(), user_id, wallet_id, $2, name, engine, settings, frame_start, frame_end, frame_step, width, height, samples,
           output_format, priority, parallel, price_id, frame_seconds, frame_estimate, estimated_cost, $3, total_frames, now() - interval '1 minute'
         FROM render_tasks WHERE id = $1 RETURNING id`,
          [task.id, `${key}-lost`, held],
        )
      ).rows[0]!;
      await rig.ledger.authorize({ id: held, walletId: ada.walletId, amount: 30_003n, owner: `render:${made.id}`, ttlMs: 60_000 });
      return made;
    };
    const first = await lost("one");
    expect(await rig.tasks.startLost()).to.be.at.least(1);
    expect(await ada.until(first, "completed")).to.include({ cost: "0.030003" });
    const second = await lost("two");
    const again = await ada.task({}, { "idempotency-key": "two-lost" });
    expect(again.id).to.equal(second.id);
    expect(await ada.until(second, "completed")).to.include({ cost: "0.030003" });
    expect((await ada.balance()).held).to.equal("0");
  });

  it("a node dies in the middle: another goes on, no finished frame is rendered again, each is charged once", async () => {
    const other = await startRig({ places, workers: false, queues: "-dying" });
    try {
      const billing = other.billing();
      const dying = other.node();
      await waitFor(() => billing.running && dying.running, { timeoutMs: 30_000 });
      const eve = await other.person();
      const task = await eve.task({ frame_end: 8, settings: { seconds_per_frame: 1 } });
      await waitFor(async () => (await eve.read(task)).done_frames >= 2, { timeoutMs: 40_000 });
      await Promise.all([dying.stop(), billing.stop()]);
      const before = await eve.frames(task);
      const finished = before.filter(({ status }) => status !== "rendering").map(({ frame }) => frame);
      other.billing();
      other.node();
      const done = await eve.until(task, "completed");
      expect(done).to.include({ done_frames: 8, cost: "0.160008" });
      const after = await eve.frames(task);
      expect(after).to.have.length(8);
      for (const { frame, attempts } of after) if (finished.includes(frame)) expect(attempts, `frame ${frame}`).to.equal(1);
      for (const { stores } of other.files.stored.values()) expect(stores).to.equal(1);
      await prove(other);
    } finally {
      await other.close();
    }
  });

  it("steps that are taken again change nothing", async () => {
    const task = await ada.task({ frame_end: 2 });
    const done = await ada.until(task, "completed");
    const watch = { signal: new AbortController().signal, beat: () => undefined };
    await rig.steps.prepareTask({ taskId: task.id }, watch.signal);
    await rig.steps.renderFrames({ taskId: task.id, places: [0, 1] }, watch);
    await rig.steps.settleFrames({ taskId: task.id });
    for (const as of ["complete", "fail", "cancel"] as const)
      expect((await rig.steps.closeTask({ taskId: task.id, as })).state).to.equal("completed");
    expect(await ada.read(task)).to.deep.include({ cost: done.cost, status: "completed" });
    expect((await ada.frames(task)).map(({ attempts }) => attempts)).to.deep.equal([1, 1]);
  });

  it("its workflow is lost: the next change starts another, which renders and charges nothing twice", async () => {
    const task = await ada.task({ frame_end: 6, settings: { seconds_per_frame: 1.5 } });
    await waitFor(async () => (await ada.read(task)).done_frames >= 1, { timeoutMs: 30_000 });
    await ada.call("POST", `/api/tasks/${task.id}/pause`);
    await handleOf(task).terminate("an operator's mistake");
    expect((await ada.call<Task>("POST", `/api/tasks/${task.id}/resume`)).status).to.equal(200);
    const done = await ada.until(task, "completed");
    expect(done).to.include({ done_frames: 6, cost: "0.150006" });
  });

  it("the storage is away for a while: what was rendered waits for it and is not rendered again", async () => {
    rig.files.away = 3;
    const task = await ada.task({ frame_end: 2 });
    await ada.until(task, "completed");
    expect(rig.files.away).to.equal(0);
    expect((await ada.frames(task)).map(({ attempts }) => attempts)).to.deep.equal([1, 1]);
  });

  it("a picture that comes too late, or that nobody pays for, is not kept", async () => {
    const task = await ada.task({ frame_end: 4, settings: { seconds_per_frame: 2 } });
    await ada.until(task, "rendering");
    await waitFor(async () => (await ada.frames(task)).length > 0);
    // As a node that does not hear of the cancellation.
    const watch = { signal: new AbortController().signal, beat: () => undefined };
    const late = rig.steps.renderFrames({ taskId: task.id, places: [3] }, watch);
    await waitFor(async () => (await ada.frames(task)).some(({ frame }) => frame === 4));
    await ada.call("POST", `/api/tasks/${task.id}/cancel`);
    await late;
    const kept = () => [...rig.files.stored.values()].filter(({ taskId }) => taskId === task.id).length;
    const paid = (await ada.frames(task)).filter(({ status }) => status === "completed").length;
    await waitFor(() => kept() === paid, { message: () => `${kept()} pictures for ${paid} paid frames` });

    const poor = await rig.person("0.05");
    const dear = await poor.task({ frame_end: 4, settings: { seconds_per_frame: 2.5, estimated_seconds: 0 } });
    await poor.until(dear, "paused");
    await waitFor(async () => (await poor.frames(dear)).some(({ status }) => status === "rendered"), { timeoutMs: 20_000 });
    await poor.call("POST", `/api/tasks/${dear.id}/cancel`);
    const stored = () => [...rig.files.stored.values()].filter(({ taskId }) => taskId === dear.id).length;
    const charged = (await poor.frames(dear)).filter(({ status }) => status === "completed").length;
    await waitFor(() => stored() === charged, { message: () => `${stored()} pictures for ${charged} paid frames` });
  });

  it("its hold is gone: frames are charged from what is available", async () => {
    const task = await ada.task({ frame_end: 4, settings: { seconds_per_frame: 1 } });
    await ada.until(task, "rendering");
    const { rows } = await rig.pool.query<{ hold_id: string }>("SELECT hold_id FROM render_tasks WHERE id = $1", [task.id]);
    await rig.ledger.release([rows[0]!.hold_id]);
    const done = await ada.until(task, "completed", "paused");
    expect(done).to.include({ status: "completed", done_frames: 4 });
    expect((await ada.balance()).held).to.equal("0");
  });

  it("holds of tasks that go on are renewed, also while they are paused", async () => {
    const task = await ada.task({ frame_end: 3, settings: { seconds_per_frame: 3 } });
    await ada.until(task, "rendering");
    await ada.call("POST", `/api/tasks/${task.id}/pause`);
    await rig.pool.query("UPDATE render_tasks SET renewed_at = now() - interval '1 day' WHERE id = $1", [task.id]);
    expect(await renewHolds(rig)).to.be.at.least(1);
    const { rows } = await rig.pool.query<{ hours: number }>(
      `SELECT extract(epoch FROM h.expires_at - now()) / 3600 AS hours FROM ledger_holds h JOIN render_tasks t ON t.hold_id = h.id WHERE t.id = $1`,
      [task.id],
    );
    expect(Number(rows[0]!.hours)).to.be.greaterThan(23);
    expect((await ada.call("POST", `/api/tasks/${task.id}/cancel`)).status).to.equal(200);
  });

  it("a long task begins its history anew and is charged to the last frame", async () => {
    const long = await startRig({ places, framesPerRun: 40, queues: "-long" });
    try {
      const eve = await long.person("1000", { render_frames: 1_000, render_parallel: 4 });
      const task = await eve.task({ frame_end: 150 });
      const first = await long.client.workflow.getHandle(task.workflow_id).describe();
      const done = await eve.until(task, "completed");
      expect(done).to.include({ done_frames: 150, cost: "1.50015" });
      const last = await long.client.workflow.getHandle(task.workflow_id).describe();
      expect(last.runId).to.not.equal(first.runId);
      expect(last.historyLength).to.be.lessThan(400);
      expect(await long.client.workflow.getHandle(task.workflow_id).query<RenderView>("progress")).to.deep.include({
        state: "completed",
        done: 150,
      });
      const frames = (await eve.call<Page<Frame>>("GET", `/api/tasks/${task.id}/frames?status=completed`)).data;
      expect(frames.total).to.equal(150);
      await prove(long);
    } finally {
      await long.close();
    }
  });

  it("the callback is signed, tried again under the same id, and shown on the task", async () => {
    const calls: { id: string; body: string; signature: string; timestamp: string }[] = [];
    const server = http
      .createServer((req, res) => {
        let body = "";
        req.on("data", (chunk: Buffer) => (body += chunk.toString()));
        req.on("end", () => {
          const read = (name: string) => String(req.headers[name]);
          calls.push({ id: read("x-webhook-id"), body, signature: read("x-signature"), timestamp: read("x-timestamp") });
          res.writeHead(calls.length < 2 ? 503 : 204).end();
        });
      })
      .listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/done`;
      const task = await ada.task({ callback_url: url });
      await ada.until(task, "completed");
      const told = await waitFor(
        async () => {
          const { data } = await ada.call<{ callback: { status: string; attempts: number } | null }>("GET", `/api/tasks/${task.id}`);
          return data.callback?.status === "delivered" && data.callback;
        },
        { timeoutMs: 20_000, message: "the callback" },
      );
      expect(told).to.include({ attempts: 2 });
      expect(new Set(calls.map(({ id }) => id)).size).to.equal(1);
      for (const { body, signature, timestamp } of calls)
        expect(signature).to.equal(`sha256=${hmacSha256(task.callback_secret!, `${timestamp}.${body}`)}`);
      expect((JSON.parse(calls[0]!.body) as { data: object }).data).to.deep.include({
        task_id: task.id,
        status: "completed",
        cost: "0.030003",
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
