import { expect } from "chai";
import type { RenderNode, RenderNodeOptions } from "../../../src/main/render-node.ts";
import { createSimulate } from "../../../src/render/engines/simulate/index.ts";
import { forgetNodes, noteWaiting } from "../../../src/render/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { prove, request, startRig, type Page, type Person, type Rig, type Task } from "./rig.ts";

interface Node {
  name: string;
  state: string;
  engines: string[];
  slots: number;
  free_slots: number;
  frames: number;
  memory_mb: number;
  memory_used_mb: number;
}

const OPERATOR = { "x-roles": "operator" };

describe("render nodes", function () {
  this.timeout(90_000);
  const places = useStack({ namespace: true });
  let rig: Rig;
  let ada: Person;

  before(async () => {
    rig = await startRig({ places, workers: false });
    const billing = rig.billing();
    await waitFor(() => billing.running, { timeoutMs: 30_000 });
  });
  beforeEach(async () => {
    ada = await rig.person("1000", { render_parallel: 8 });
  });
  const started: RenderNode[] = [];
  afterEach(async () => {
    for (const node of started.splice(0)) await node.stop();
    await prove(rig);
  });
  after(() => rig.close());

  async function node(more: Partial<RenderNodeOptions> = {}): Promise<RenderNode & { name: string }> {
    const name = `node-${uuidv7()}`;
    const made = rig.node({ name, ...more });
    started.push(made);
    await waitFor(() => made.running, { timeoutMs: 30_000, message: "the node" });
    return Object.assign(made, { name });
  }
  const list = async (query = "") =>
    (await ada.call<Page<Node>>("GET", `/api/admin/render/nodes?page_size=100${query}`, undefined, OPERATOR)).data;
  const find = async (name: string) => (await list()).items.find((one) => one.name === name);
  const change = (name: string, action: string) =>
    ada.call<Node>("POST", `/api/admin/render/nodes/${name}/${action}`, { reason: "new memory" }, OPERATOR);

  it("operators see what nodes have and do, page by page; nobody else does", async () => {
    const { name } = await node({ slots: 3 });
    await node();
    expect(await find(name)).to.deep.include({
      state: "active",
      engines: ["simulate", "kettle"],
      slots: 3,
      free_slots: 3,
      memory_mb: 2_048,
    });
    const task = await ada.task({ frame_end: 2, memory_mb: 500, settings: { seconds_per_frame: 4 } });
    await waitFor(async () => (await list("&state=active")).items.reduce((sum, one) => sum + one.memory_used_mb, 0) === 1_000, {
      timeoutMs: 15_000,
      message: "two frames of 500 MiB under way",
    });
    await ada.until(task, "completed");
    const page = await ada.call<Page<Node>>("GET", "/api/admin/render/nodes?page=2&page_size=1", undefined, OPERATOR);
    expect(page.data.items).to.have.length(1);
    for (const path of ["/api/admin/render/nodes", `/api/admin/render/nodes/${name}/drain`])
      expect((await ada.call(path.endsWith("drain") ? "POST" : "GET", path)).status).to.equal(403);
    expect((await change("nobody", "drain")).status).to.equal(404);
  });

  it("a drained node takes no new frame, those under way run to their end, and others take the rest", async () => {
    const first = await node({ slots: 2 });
    const task = await ada.task({ frame_end: 6, settings: { seconds_per_frame: 2.5 } });
    await waitFor(() => first.capacity.frames === 2, { timeoutMs: 20_000, message: "two frames under way" });
    expect((await change(first.name, "drain")).data.state).to.match(/draining|drained/);
    await waitFor(() => first.capacity.draining, { timeoutMs: 10_000 });
    await waitFor(async () => (await find(first.name))?.state === "drained", { timeoutMs: 20_000, message: "the node to be drained" });
    const finished = (await ada.frames(task)).filter(({ status }) => status !== "rendering");
    expect(finished.length).to.be.within(2, 4);
    for (const { attempts } of finished) expect(attempts).to.equal(1);
    await noteWaiting({ pool: rig.pool, publish: () => undefined });
    expect(await ada.read(task)).to.include({ status: "rendering", reason: "no_node" });
    await node();
    const done = await ada.until(task, "completed");
    expect(done).to.include({ done_frames: 6, cost: "0.210006" });
    expect(first.capacity.frames).to.equal(0);
    expect((await ada.frames(task)).map(({ attempts }) => attempts)).to.deep.equal([1, 1, 1, 1, 1, 1]);
    const { rows } = await rig.pool.query<{ action: string; details: { reason: string } }>(
      "SELECT action, details FROM audit_log WHERE target = $1",
      [`render_node:${first.name}`],
    );
    expect(rows).to.deep.equal([{ action: "render_node.drain", details: { reason: "new memory" } }]);
    expect((await change(first.name, "resume")).data.state).to.equal("active");
    await waitFor(() => !first.capacity.draining, { timeoutMs: 10_000 });
  });

  it("a node stays drained when it starts again under its name", async () => {
    const name = `node-${uuidv7()}`;
    const before = rig.node({ name });
    await waitFor(() => before.running, { timeoutMs: 30_000 });
    await change(name, "drain");
    await before.stop();
    expect((await find(name))?.state).to.equal("stopped");
    const again = rig.node({ name });
    started.push(again);
    await waitFor(() => again.running, { timeoutMs: 30_000 });
    expect(again.capacity.draining).to.equal(true);
    expect((await find(name))?.state).to.equal("drained");
  });

  it("nodes that are gone are forgotten after a day, drained ones later", async () => {
    const names: string[] = [];
    for (const _ of [1, 2, 3]) {
      const gone = rig.node({ name: `gone-${uuidv7()}` });
      await waitFor(() => gone.running, { timeoutMs: 30_000 });
      await gone.stop();
      const { rows } = await rig.pool.query<{ name: string }>("SELECT name FROM render_nodes ORDER BY started_at DESC LIMIT 1");
      names.push(rows[0]!.name);
    }
    await change(names[0]!, "drain");
    await rig.pool.query("UPDATE render_nodes SET heartbeat_at = now() - interval '25 hours' WHERE name = ANY($1)", [names.slice(0, 2)]);
    expect(await forgetNodes(rig.pool)).to.equal(1);
    expect([await find(names[0]!), await find(names[1]!), await find(names[2]!)].map(Boolean)).to.deep.equal([true, false, true]);
  });

  it("frames go only where they fit; a task that fits no node says so at once and goes on when one comes", async () => {
    const small = await node({ memoryMb: 2_048 });
    const simulateAlone = await node({ memoryMb: 16_000, engines: [createSimulate()] });
    const scene = rig.files.scene(ada.id, "seconds 0.2");
    const body = { engine: "kettle", scene_file_id: scene, memory_mb: 5_000 };
    const task = await ada.task(body);
    expect(task).to.include({ status: "queued", reason: "no_node" });
    expect(task.message).to.equal("no render node has kettle and 5000 MiB for a frame now: the task goes on when one comes");
    const other = await ada.task({ memory_mb: 5_000 });
    await ada.until(other, "completed");
    expect([small.capacity.frames, (await ada.read(task)).status]).to.deep.equal([0, "queued"]);
    await node({ memoryMb: 8_000 });
    expect(await ada.until(task, "completed")).to.include({ reason: null });
    expect(simulateAlone.capacity.frames).to.equal(0);
  });

  it("the last node goes: tasks say so, and no longer when one has come", async () => {
    const told: unknown[] = [];
    const publish = ({ data }: { data: Record<string, unknown> }) => void told.push(data["reason"]);
    const only = await node();
    const task = await ada.task({ frame_end: 3, settings: { seconds_per_frame: 1 } });
    await ada.until(task, "rendering");
    await only.stop();
    expect(await noteWaiting({ pool: rig.pool, publish })).to.be.at.least(1);
    expect(await noteWaiting({ pool: rig.pool, publish })).to.equal(0);
    expect(await ada.read(task)).to.include({ reason: "no_node" });
    await node();
    await noteWaiting({ pool: rig.pool, publish });
    expect(told).to.deep.equal(["no_node", null]);
    await ada.until(task, "completed");
  });

  it("scenes that no node can look at are 503 at once", async () => {
    const scene = rig.files.scene(ada.id, "seconds 1");
    const answer = await ada.call("POST", "/api/tasks/estimate", request({ engine: "kettle", scene_file_id: scene }));
    expect([answer.status, answer.message]).to.deep.equal([503, "No render node has kettle now: scenes cannot be looked at"]);
  });

  it("more memory than any node may have is refused, naming memory_mb", async () => {
    const answer = await ada.call("POST", "/api/tasks", request({ memory_mb: 1_000_000 }));
    expect([answer.status, answer.message.split(":")[0]]).to.deep.equal([400, "memory_mb"]);
  });

  it("frames of several engines share a node's slots and memory, and all are rendered", async () => {
    const both = await node({ slots: 2, memoryMb: 2_048 });
    let most = { frames: 0, memory: 0 };
    const timer = setInterval(() => {
      const { frames, memoryUsedMb } = both.capacity;
      most = { frames: Math.max(most.frames, frames), memory: Math.max(most.memory, memoryUsedMb) };
    }, 5);
    try {
      const scene = rig.files.scene(ada.id, "seconds 0.3");
      const tasks = [
        await ada.task({ frame_end: 8, settings: { seconds_per_frame: 0.6 } }),
        await ada.task({ engine: "kettle", scene_file_id: scene, frame_end: 4, memory_mb: 1_500 }),
        await ada.task({ frame_end: 4, memory_mb: 300, settings: { seconds_per_frame: 0.6 } }),
      ];
      for (const task of tasks) await ada.until(task, "completed");
    } finally {
      clearInterval(timer);
    }
    expect(most.frames).to.equal(2);
    expect(most.memory).to.be.at.most(2_048);
  });

  it("a task for which no node comes fails in the end, and what was held is free", async () => {
    const short = await startRig({ places, workers: false, longestWaitMs: 1_000, queues: "-short" });
    try {
      short.billing();
      const eve = await short.person();
      const task = await eve.task();
      expect(task.reason).to.equal("no_node");
      const failed = await eve.until(task, "failed");
      expect(failed).to.include({ reason: "no_node", message: "no render node came in time", held: "0", cost: "0" });
      expect((await eve.call<Page<Task>>("GET", "/api/tasks?status=failed")).data.total).to.equal(1);
    } finally {
      await short.close();
    }
  });
});
