import { expect } from "chai";
import { startStack, useStack, waitFor, type Stack } from "../../support/stack.ts";
import { prove, startRig, type Person, type Rig, type Task } from "./rig.ts";

/** On a Temporal server as `npm start` runs it: the run's own may be another. */
describe("whose frames are next, while there are more than nodes can take", function () {
  this.timeout(120_000);
  const places = useStack({ namespace: true });
  let server: Stack;
  let rig: Rig;

  before(async () => {
    server = await startStack({ parts: ["temporal"] });
    rig = await startRig({ places: { ...places, temporalAddress: server.endpoints.temporal!, namespace: "default" }, workers: false });
    const billing = rig.billing();
    const node = rig.node({ slots: 1 });
    await waitFor(() => billing.running && node.running, { timeoutMs: 30_000 });
  });
  afterEach(() => prove(rig));
  after(async () => {
    await rig.close();
    await server.destroy();
  });

  const LIMITS = { render_parallel: 24, render_priority: "high" };
  /** Frames of a tenth of a second, each handed out alone. */
  const many = (person: Person, priority: string, frames: number) =>
    person.task({ priority, frame_end: frames, settings: { seconds_per_frame: 0.1, estimated_seconds: 1 } });
  const doneOf = async (person: Person, tasks: readonly Task[]) => {
    const seen = await Promise.all(tasks.map((task) => person.read(task)));
    return seen.reduce((sum, { done_frames: done }) => sum + done, 0);
  };

  it("high goes before low, and low goes on", async () => {
    const [high, low] = [await rig.person("1000", LIMITS), await rig.person("1000", LIMITS)];
    const patient = await many(low, "low", 200);
    await low.until(patient, "rendering");
    const urgent = await many(high, "high", 50);
    const both = async () => [await doneOf(high, [urgent]), await doneOf(low, [patient])] as const;
    const reach = (frames: number) =>
      waitFor(async () => (await doneOf(high, [urgent])) >= frames, { timeoutMs: 60_000, message: `${frames} urgent frames` });
    await reach(2);
    const before = await both();
    await reach(26);
    const after = await both();
    const [fast, slow] = [after[0] - before[0], after[1] - before[1]];
    expect(slow, `frames of low while ${fast} of high were rendered`).to.be.within(2, fast / 2);
    for (const [person, task] of [
      [low, patient],
      [high, urgent],
    ] as const)
      expect((await person.call("POST", `/api/tasks/${task.id}/cancel`)).status).to.equal(200);
  });

  it("somebody with one task does not wait for all tasks of somebody with many", async () => {
    const [crowd, single] = [await rig.person("1000", LIMITS), await rig.person("1000", LIMITS)];
    const tasks: Task[] = [];
    for (let n = 0; n < 5; n++) tasks.push(await many(crowd, "normal", 30));
    await waitFor(async () => (await doneOf(crowd, tasks)) >= 2, { timeoutMs: 30_000 });
    const mine = await many(single, "normal", 12);
    await waitFor(async () => (await doneOf(single, [mine])) >= 1, { timeoutMs: 30_000 });
    const before = await doneOf(crowd, tasks);
    await single.until(mine, "completed");
    const meanwhile = (await doneOf(crowd, tasks)) - before;
    expect(meanwhile, "frames of the others while 11 of mine were rendered").to.be.within(5, 22);
    for (const task of tasks) await crowd.call("POST", `/api/tasks/${task.id}/cancel`);
  });
});
