import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { exists, prove, request, startRig, type Frame, type Page, type Person, type Rig, type Task } from "./rig.ts";

interface Problem {
  field: string;
  message: string;
}

describe("render tasks over HTTP", function () {
  this.timeout(90_000);
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

  it("an estimate says what a task would cost, what that is made of, and changes nothing", async () => {
    const body = request({ frame_end: 10, frame_step: 3, width: 1000, height: 1000, samples: 10, settings: { seconds_per_frame: 2 } });
    const { status, data } = await ada.call<Record<string, unknown>>("POST", "/api/tasks/estimate", body);
    expect(status).to.equal(200);
    // 0.01 a frame, 10 million samples at 0.0001, 2 s at 0.01.
    expect(data).to.deep.include({ per_frame: "0.031", estimated_cost: "0.124", frames: 4, seconds: 8, price_version: 1 });
    expect(data["parts"]).to.deep.equal({ frame: "0.01", samples: "0.001", time: "0.02", percent: 100 });
    expect((await ada.balance()).held).to.equal("0");
    expect((await ada.call<Page<Task>>("GET", "/api/tasks")).data.total).to.equal(0);
  });

  it("an estimate that the wallet does not cover is 402 before anything is queued, and nothing is left behind", async () => {
    const poor = await rig.person("0.02");
    const answer = await poor.call("POST", "/api/tasks", request());
    expect([answer.status, answer.error.code]).to.deep.equal([402, "insufficient_balance"]);
    expect(answer.error.details).to.deep.equal({ shortfall: "0.010003" });
    expect((await poor.call<Page<Task>>("GET", "/api/tasks")).data.total).to.equal(0);
    expect(await poor.balance()).to.deep.equal({ available: "0.02", held: "0", total: "0.02" });
    const { rows } = await rig.pool.query("SELECT FROM render_tasks WHERE user_id = $1", [poor.id]);
    expect(rows).to.have.length(0);
  });

  it("credit that other tasks hold is 429 and not 402: it may come back", async () => {
    const poor = await rig.person("0.05");
    await poor.task({ settings: { seconds_per_frame: 5, estimated_seconds: 0 }, frame_end: 4 });
    const answer = await poor.call("POST", "/api/tasks", request({ frame_end: 4 }));
    expect([answer.status, answer.error.code]).to.deep.equal([429, "balance_on_hold"]);
  });

  it("spend limits of the account are held against and never overrun: the task pauses and says so", async () => {
    rig.budgets.set(ada.id, [{ id: `user:${ada.id}`, period: "total", limit: 60_000n }]);
    const refused = await ada.call("POST", "/api/tasks", request({ frame_end: 7 }));
    expect([refused.status, refused.error.code]).to.deep.equal([429, "spend_limit_reached"]);
    expect((await ada.balance()).held).to.equal("0");
    const task = await ada.task({ frame_end: 4, settings: { seconds_per_frame: 2, estimated_seconds: 0 } });
    const paused = await ada.until(task, "paused");
    expect(paused.reason).to.equal("spend_limit_reached");
    expect(paused.message).to.match(/^a spend limit lacks [\d.]+ credits/);
    expect(Number(paused.cost)).to.be.at.most(0.06);
    const still = await ada.call("POST", `/api/tasks/${task.id}/resume`);
    expect([still.status, still.error.code]).to.deep.equal([429, "spend_limit_reached"]);
    rig.budgets.set(ada.id, [{ id: `user:${ada.id}`, period: "total", limit: 1_000_000n }]);
    expect((await ada.call("POST", `/api/tasks/${task.id}/resume`)).status).to.equal(200);
    const done = await ada.until(task, "completed");
    const [spending] = await rig.ledger.spending(rig.budgets.get(ada.id)!);
    expect(spending).to.deep.equal({ spent: 120_004n, held: 0n });
    expect(done.cost).to.equal("0.120004");
  });

  const REFUSED: [string, Record<string, unknown>, string][] = [
    ["an engine that is not there", { engine: "mental-ray" }, "engine"],
    ["a format that the engine does not write", { output_format: "exr" }, "output_format"],
    ["a range that ends before it begins", { frame_start: 3, frame_end: 2 }, "frame_end"],
    ["a scene for an engine that takes none", { scene_file_id: "01a1ffb2-d570-739a-98e7-7e4ced63eb00" }, "scene_file_id"],
    ["settings that the engine does not know", { settings: { seconds_per_frame: -1 } }, "settings.seconds_per_frame"],
    ["more frames than the membership allows", { frame_end: 2_000 }, "frame_end"],
    ["larger frames than the membership allows", { width: 8_000, height: 8_000 }, "width"],
    ["a priority above the membership's", { priority: "high" }, "priority"],
    ["no size", { width: 0 }, "width"],
    ["half a frame", { frame_start: 1.5 }, "frame_start"],
    ["a callback without a scheme", { callback_url: "example.com" }, "callback_url"],
    ["a callback with a password", { callback_url: "https://ada:secret@example.com/" }, "callback_url"],
  ];
  for (const [what, more, field] of REFUSED) {
    it(`refuses ${what}, naming ${field}`, async () => {
      const answer = await ada.call("POST", "/api/tasks", request(more));
      expect([answer.status, answer.error.code]).to.deep.equal([400, "validation_failed"]);
      expect((answer.error.details as Problem[]).map((problem) => problem.field)).to.include(field);
      expect((await ada.balance()).held).to.equal("0");
    });
  }

  it("membership bounds the tasks at once; one that is over makes room", async () => {
    const bounded = await rig.person("10", { render_tasks: 2 });
    const slow = { settings: { seconds_per_frame: 30 }, frame_end: 1 };
    const made = await Promise.all([1, 2, 3, 4].map(() => bounded.call<Task>("POST", "/api/tasks", request(slow))));
    expect(made.map(({ status }) => status).sort()).to.deep.equal([201, 201, 429, 429]);
    const first = made.find(({ status }) => status === 201)!.data;
    await bounded.call("POST", `/api/tasks/${first.id}/cancel`);
    expect((await bounded.call("POST", "/api/tasks", request(slow))).status).to.equal(201);
  });

  it("membership bounds the frames at once", async () => {
    const narrow = await rig.person("10", { render_parallel: 1 });
    const task = await narrow.task({ frame_end: 3, settings: { seconds_per_frame: 2 } });
    let most = 0;
    await waitFor(
      async () => {
        const frames = await narrow.frames(task);
        most = Math.max(most, frames.filter(({ status }) => status === "rendering").length);
        return (await narrow.read(task)).status === "completed";
      },
      { timeoutMs: 40_000 },
    );
    expect(most).to.equal(1);
  });

  it("the same Idempotency-Key is the same task, and with another body a mismatch", async () => {
    const key = { "idempotency-key": "kettle-1" };
    const [one, two] = await Promise.all([ada.task({}, key), ada.task({}, key)]);
    expect(one.id).to.equal(two.id);
    const other = await ada.call("POST", "/api/tasks", request({ frame_end: 9 }), key);
    expect([other.status, other.error.code]).to.deep.equal([409, "idempotency_mismatch"]);
    // As after a crash that lost the answer.
    await rig.pool.query("DELETE FROM idempotency_keys");
    expect((await ada.task({}, key)).id).to.equal(one.id);
  });

  it("lists are paged and filtered by the state's word or number", async () => {
    const done = await Promise.all([ada.task(), ada.task(), ada.task()]);
    for (const task of done) await ada.until(task, "completed");
    const open = await ada.task({ settings: { seconds_per_frame: 30 } });
    const ids = async (query: string) => (await ada.call<Page<Task>>("GET", `/api/tasks?${query}`)).data.items.map(({ id }) => id);
    const [newest, ...others] = await ids("");
    expect(newest).to.equal(open.id);
    expect(others).to.have.members(done.map(({ id }) => id));
    expect(await ids("page=2&page_size=3")).to.have.length(1);
    expect(await ids("status=completed")).to.have.length(3);
    expect(await ids("status=5")).to.have.members(done.map(({ id }) => id));
    expect((await ada.call("GET", "/api/tasks?status=8")).status).to.equal(400);
    expect((await ada.call("GET", "/api/tasks?status=done")).status).to.equal(400);
  });

  it("another person's task is not there, on any route", async () => {
    const task = await ada.task();
    const eve = await rig.person();
    for (const [method, path] of [
      ["GET", ""],
      ["GET", "/frames"],
      ["GET", "/logs"],
      ["GET", "/bill"],
      ["POST", "/pause"],
      ["POST", "/resume"],
      ["POST", "/cancel"],
      ["DELETE", ""],
    ] as const) {
      const answer = await eve.call(method, `/api/tasks/${task.id}${path}`);
      expect([method, path, answer.status, answer.error.code]).to.deep.equal([method, path, 404, "not_found"]);
    }
    expect((await eve.call<Page<Task>>("GET", "/api/tasks")).data.total).to.equal(0);
    await ada.until(task, "completed");
  });

  it("two changes at once: one is done, the other says why not", async () => {
    const task = await ada.task({ frame_end: 20, settings: { seconds_per_frame: 1.5 } });
    await ada.until(task, "rendering");
    const answers = await Promise.all([1, 2, 3].map(() => ada.call<Task>("POST", `/api/tasks/${task.id}/pause`)));
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 409, 409]);
    expect(answers.find(({ status }) => status === 409)!.message).to.equal("The task is paused already");
    const both = await Promise.all(["resume", "cancel"].map((action) => ada.call<Task>("POST", `/api/tasks/${task.id}/${action}`)));
    expect(both[1]!.status).to.equal(200);
    expect(both[0]!.status).to.be.oneOf([200, 409]);
    await ada.until(task, "cancelled");
  });

  it("a task that is over refuses every change and says so; it can be deleted with everything of it", async () => {
    const task = await ada.task({ frame_end: 2 });
    expect((await ada.call("DELETE", `/api/tasks/${task.id}`)).status).to.equal(409);
    const { cost } = await ada.until(task, "completed");
    for (const action of ["pause", "resume", "cancel"]) {
      const answer = await ada.call("POST", `/api/tasks/${task.id}/${action}`);
      expect([answer.status, answer.error.code]).to.deep.equal([409, "invalid_state"]);
      expect(answer.message).to.equal("The task is completed and cannot change any more");
    }
    const files = [...rig.files.stored.values()].filter(({ taskId }) => taskId === task.id);
    expect(files).to.have.length(2);
    expect(await exists(files[0]!.path)).to.equal(true);
    expect((await ada.call("DELETE", `/api/tasks/${task.id}`)).status).to.equal(200);
    expect((await ada.call("GET", `/api/tasks/${task.id}`)).status).to.equal(404);
    expect([...rig.files.stored.values()].filter(({ taskId }) => taskId === task.id)).to.have.length(0);
    expect((await ada.balance()).total).to.equal((1000 - Number(cost)).toString());
  });

  it("its bill, its frames and its log say what was charged for and what was done", async () => {
    const task = await ada.task({ frame_end: 2, settings: { seconds_per_frame: 0.5 } });
    const done = await ada.until(task, "completed");
    const bill = (await ada.call<Record<string, unknown>>("GET", `/api/tasks/${task.id}/bill`)).data;
    expect(bill).to.deep.include({ cost: done.cost, frames: 2, seconds: 1, status: "completed" });
    expect(bill["price"]).to.deep.include({ engine: "simulate", per_frame: "0.01", per_second: "0.01", percent: 100 });
    const logs = async (query = "") =>
      (await ada.call<Page<{ id: string; message: string }>>("GET", `/api/tasks/${task.id}/logs?${query}`)).data;
    const all = await logs();
    expect(all.items.map(({ message }) => message)).to.include.members([
      "The task is queued",
      "The task is rendering",
      "The task is completed",
    ]);
    expect(all.items.filter(({ message }) => /^frame \d of 64 × 36 drawn$/.test(message))).to.have.length(2);
    const rest = await logs(`after=${all.items[1]!.id}&page_size=100`);
    expect(rest.total).to.equal(all.total - 2);
    expect((await logs("level=error")).total).to.equal(0);
    const charges = (
      await ada.call<Page<{ type: string; amount: string; reference: string }>>("GET", "/api/user/transactions?type=CONSUMPTION")
    ).data;
    expect(charges.items.map(({ amount, reference }) => ({ amount, reference }))).to.deep.equal(
      [1, 2].map(() => ({ amount: "-0.015001", reference: task.id })),
    );
    const frames = (await ada.call<Page<Frame>>("GET", `/api/tasks/${task.id}/frames?status=completed&page_size=1`)).data;
    expect([frames.total, frames.items.length]).to.deep.equal([2, 1]);
    // Each part is rounded up for itself, the cost once.
    expect(frames.items[0]).to.deep.include({
      cost: "0.015001",
      parts: { frame: "0.01", samples: "0.000001", time: "0.005", percent: 100 },
    });
  });

  it("metrics count what was charged and how tasks stand", async () => {
    const value = async (name: string) =>
      Number(new RegExp(`^${name.replaceAll(/[{}"]/g, "\\$&")} (\\S+)$`, "m").exec(await rig.metrics())?.[1] ?? 0);
    const names = ["frames_total", "credits_total"].map((name) => `tollkeeper_render_${name}{engine="simulate"}`);
    const before = await Promise.all(names.map(value));
    const task = await ada.task({ frame_end: 2, settings: { seconds_per_frame: 0.5 } });
    expect(await value('tollkeeper_render_tasks{state="completed"}')).to.equal(0);
    await ada.until(task, "completed");
    expect((await value(names[0]!)) - before[0]!).to.equal(2);
    expect((await value(names[1]!)) - before[1]!).to.be.closeTo(0.030002, 1e-9);
    expect(await value('tollkeeper_render_changes_total{engine="simulate",status="completed"}')).to.be.at.least(1);
  });

  it("whoever watches is told of states, progress and log lines", async () => {
    const task = await ada.task({ frame_end: 2, settings: { seconds_per_frame: 1.2 } });
    await ada.until(task, "completed");
    const mine = rig.messages.filter(({ userId, data }) => userId === ada.id && data["task_id"] === task.id);
    expect(mine.filter(({ type }) => type === "task.status").map(({ data }) => data["status"])).to.deep.equal([
      "queued",
      "preparing",
      "rendering",
      "completed",
    ]);
    const told = mine.filter(({ type }) => type === "task.progress").map(({ data }) => data);
    const inside = told.map((data) => data["frame_progress"] as number | undefined);
    expect(inside.some((value) => value !== undefined && value > 0 && value < 1)).to.equal(true);
    const progress = told.map((data) => data["progress"] as number);
    expect(progress, "never goes back").to.deep.equal([...progress].sort((one, other) => one - other));
    expect(progress.at(-1)).to.equal(100);
    expect(mine.filter(({ type }) => type === "task.log")).to.have.length(2);
  });
});
