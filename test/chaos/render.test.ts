import { expect } from "chai";
import { customer, operator, proveLedger, settledBalance, type Person } from "../support/people.ts";
import { startStack, waitFor, type Stack } from "../support/stack.ts";

interface Task {
  id: string;
  status: string;
  cost: string;
  done_frames: number;
}
interface Frame {
  frame: number;
  status: string;
  cost: string | null;
  attempts: number;
  file_id: string | null;
}

const TASKS = 20;
const FRAMES = 6;
/** A frame of 64 × 36 that takes 0.4 s: 0.01 + 0.004 and a micro-credit for its samples. */
const FRAME_COST = 14_001;

describe("a render worker, the api and Temporal are killed in the middle of 20 tasks", function () {
  this.timeout(420_000);
  let stack: Stack;
  let admin: Person;
  let ada: Person;

  before(async () => {
    stack = await startStack({ env: { RENDER_FRAMES_AT_ONCE: "8" } });
    const { endpoints } = stack;
    const at = { ...endpoints, stack } as unknown as Parameters<typeof operator>[0];
    admin = await operator(at);
    ada = await customer(at, admin, { credits: "100", limits: { requests_per_minute: 100_000, max_parallel: 1_000, render_tasks: 100 } });
  });

  after(() => stack.destroy());

  async function standing(): Promise<Task[]> {
    const { items } = await ada.get<{ items: Task[] }>("/api/tasks?page_size=100");
    return items;
  }
  const done = (tasks: Task[]) => tasks.reduce((sum, { done_frames: frames }) => sum + frames, 0);

  it("all finish, no finished frame is rendered twice, every charge is right", async () => {
    const body = {
      name: "A kettle",
      engine: "simulate",
      frame_start: 1,
      frame_end: FRAMES,
      width: 64,
      height: 36,
      settings: { seconds_per_frame: 0.4 },
    };
    for (let n = 0; n < TASKS; n++) await ada.post("/api/tasks", body);
    const finishedAt = async (share: number) => {
      await waitFor(async () => done(await standing().catch(() => [])) >= TASKS * FRAMES * share, {
        timeoutMs: 120_000,
        message: `${share} of the frames`,
      });
      const seen = new Map<string, number[]>();
      for (const { id } of await standing()) {
        const { items } = await ada.get<{ items: Frame[] }>(`/api/tasks/${id}/frames?page_size=100`);
        for (const { frame, status, attempts } of items) if (status === "completed") seen.set(`${id} ${frame}`, [attempts]);
      }
      return seen;
    };
    const before = await finishedAt(0.1);
    await stack.part("worker").kill("SIGKILL");
    await stack.part("worker").start();
    for (const [frame, attempts] of await finishedAt(0.3)) before.set(frame, before.get(frame) ?? attempts);
    await stack.part("api").kill("SIGKILL");
    await stack.part("api").start();
    await stack.part("temporal").kill("SIGKILL");
    await stack.part("temporal").start();
    await waitFor(async () => (await standing().catch(() => [])).filter(({ status }) => status === "completed").length === TASKS, {
      timeoutMs: 240_000,
      message: "all tasks to be completed",
    });
    for (const task of await standing()) {
      expect(Number(task.cost) * 1e6).to.be.closeTo(FRAME_COST * FRAMES, 0.5);
      const { items } = await ada.get<{ items: Frame[] }>(`/api/tasks/${task.id}/frames?page_size=100`);
      expect(items.map(({ frame }) => frame)).to.deep.equal([1, 2, 3, 4, 5, 6]);
      for (const { frame, status, attempts, file_id } of items) {
        expect(status).to.equal("completed");
        expect(file_id).to.be.a("string");
        const earlier = before.get(`${task.id} ${frame}`);
        if (earlier) expect([attempts], `frame ${frame} of ${task.id} was finished before the kill`).to.deep.equal(earlier);
      }
    }
    expect(Math.round(Number((await settledBalance(ada)).total) * 1e6)).to.equal(100_000_000 - TASKS * FRAMES * FRAME_COST);
    await proveLedger(admin);
  });
});
