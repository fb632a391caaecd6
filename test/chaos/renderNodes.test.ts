import { expect } from "chai";
import { customer, operator, proveLedger, settledBalance, type Person } from "../support/people.ts";
import { startStack, waitFor, type Stack } from "../support/stack.ts";

interface Node {
  name: string;
  state: string;
  frames: number;
}
interface Frame {
  frame: number;
  status: string;
  attempts: number;
}

/** What a second machine must know to belong to the same product. */
const SHARED = /^(JWT_SECRETS|HASH_SECRET|ENCRYPTION_KEYS|S3_.*)$/;
/** A frame's heartbeat time-out, and what it takes to hand it out again. */
const ELSEWHERE_MS = 10_000 + 5_000;

describe("one of two render nodes is killed", function () {
  this.timeout(240_000);
  let first: Stack;
  let second: Stack;
  let admin: Person;
  let ada: Person;

  before(async () => {
    first = await startStack({ env: { RENDER_FRAMES_AT_ONCE: "4", RENDER_NODE_NAME: "one" } });
    const { endpoints, env } = first;
    const shared = Object.fromEntries(Object.entries(env).filter(([name]) => SHARED.test(name)));
    second = await startStack({
      parts: ["worker"],
      env: {
        ...shared,
        DATABASE_URL: endpoints.database_url,
        REDIS_URL: endpoints.redis_url,
        TEMPORAL_ADDRESS: endpoints.temporal,
        RENDER_FRAMES_AT_ONCE: "2",
        RENDER_NODE_NAME: "two",
      },
    });
    const at = { ...endpoints, stack: first } as unknown as Parameters<typeof operator>[0];
    admin = await operator(at);
    ada = await customer(at, admin, { credits: "100", limits: { requests_per_minute: 100_000, max_parallel: 1_000, render_parallel: 6 } });
  });
  after(async () => {
    await second.destroy();
    await first.destroy();
  });

  const nodes = async () => (await admin.get<{ items: Node[] }>("/api/admin/render/nodes")).items;
  const framesOf = async (id: string) => (await ada.get<{ items: Frame[] }>(`/api/tasks/${id}/frames?page_size=100`)).items;

  it("its frames go to the other within their heartbeat time-out, no finished one again", async () => {
    await waitFor(async () => (await nodes().catch(() => [])).filter(({ state }) => state === "active").length === 2, {
      timeoutMs: 30_000,
      message: "both nodes",
    });
    const body = { name: "A kettle", engine: "simulate", frame_start: 1, frame_end: 8, width: 64, height: 36 };
    const { id } = await ada.post<{ id: string }>("/api/tasks", { ...body, settings: { seconds_per_frame: 8 } });
    await waitFor(async () => (await nodes()).find(({ name }) => name === "two")!.frames === 2, {
      timeoutMs: 60_000,
      message: "two frames on the node that dies",
    });
    const began = Date.now();
    await second.part("worker").kill("SIGKILL");
    await waitFor(async () => (await framesOf(id)).filter(({ attempts }) => attempts === 2).length === 2, {
      timeoutMs: 60_000,
      message: "its two frames on the other node",
    });
    expect(Date.now() - began).to.be.lessThan(ELSEWHERE_MS);
    await waitFor(async () => (await nodes()).find(({ name }) => name === "two")!.state === "lost", { timeoutMs: 20_000 });
    await waitFor(async () => (await ada.get<{ status: string }>(`/api/tasks/${id}`)).status === "completed", { timeoutMs: 90_000 });
    const frames = await framesOf(id);
    expect(frames).to.have.length(8);
    expect(frames.filter(({ attempts }) => attempts > 1)).to.have.length(2);
    // 8 frames of 0.01 + 8 s * 0.01 and a micro-credit for their samples.
    expect((await settledBalance(ada)).total).to.equal("99.279992");
    await proveLedger(admin);
  });
});
