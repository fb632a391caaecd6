import { expect } from "chai";
import { createCapacity, queuesOf } from "../../../src/render/nodes/index.ts";
import { memoryFor, queueFor } from "../../../src/render/nodes/queues.ts";

const never = () => new AbortController().signal;

describe("what a render node takes", () => {
  it("frames wait at the smallest class of memory that holds them; nodes take from those that they hold", () => {
    expect(queueFor("render", "blender", 2_048)).to.equal("render-blender-2048m");
    expect(queueFor("render", "blender", 2_049)).to.equal("render-blender-6144m");
    expect(() => queueFor("render", "blender", 300_000)).to.throw("300000 MiB");
    const engines = [{ name: "simulate", memoryMb: 64 }, { name: "blender" }];
    expect(queuesOf("render", engines, 15_900)).to.deep.equal([
      "render-simulate-256m",
      "render-simulate-2048m",
      "render-simulate-6144m",
      "render-simulate-14336m",
      "render-blender-2048m",
      "render-blender-6144m",
      "render-blender-14336m",
    ]);
    expect(queuesOf("render", engines, 512)).to.deep.equal(["render-simulate-256m"]);
  });

  it("a frame needs the most that anybody says", () => {
    expect(memoryFor({ name: "blender" })).to.equal(1_024);
    expect(memoryFor({ name: "simulate", memoryMb: 64 }, undefined, 10)).to.equal(64);
    expect(memoryFor({ name: "simulate", memoryMb: 64 }, 700.5, 100)).to.equal(701);
  });

  it("asks a queue for no more than there are slots", async () => {
    const capacity = createCapacity({ slots: 2, memoryMb: 1_000 });
    const first = await capacity.reserve("a", never());
    const second = await capacity.reserve("a", never());
    expect(capacity.tryReserve("a")).to.equal(undefined);
    let third = false;
    const waiting = capacity.reserve("a", never()).then((permit) => ((third = true), permit));
    capacity.use(first);
    await Promise.resolve();
    expect(third).to.equal(false);
    capacity.release(second);
    await waiting;
    capacity.release(first);
  });

  it("a wait that is given up takes no slot", async () => {
    const capacity = createCapacity({ slots: 1, memoryMb: 1_000 });
    const held = await capacity.reserve("a", never());
    const given = new AbortController();
    const waiting = capacity.reserve("a", given.signal);
    given.abort(new Error("enough"));
    expect(await waiting.catch((error: Error) => error.message)).to.equal("enough");
    capacity.release(held);
    expect(capacity.tryReserve("a")).to.not.equal(undefined);
    expect(await capacity.reserve("b", given.signal).then(Boolean)).to.equal(true);
  });

  it("takes frames in as long as there are slots and memory, each leaving once", async () => {
    const capacity = createCapacity({ slots: 3, memoryMb: 1_000, patienceMs: 20 });
    const leave = (await capacity.enter(600, never()))!;
    expect(await Promise.race([capacity.enter(600, never()), Promise.resolve("waits")])).to.equal("waits");
    expect(capacity).to.include({ frames: 1, memoryUsedMb: 600 });
    leave();
    leave();
    expect(capacity).to.include({ frames: 1, memoryUsedMb: 600 });
  });

  it("a large frame is not overtaken for ever by small ones", async () => {
    const capacity = createCapacity({ slots: 4, memoryMb: 1_000, patienceMs: 5 });
    const small = (await capacity.enter(300, never()))!;
    const large = capacity.enter(900, never());
    const later = capacity.enter(300, never());
    expect(capacity.tryReserve("a")).to.equal(undefined);
    // The small one behind it goes to another node, the large one stays first in line.
    expect(await later).to.equal(undefined);
    small();
    const leave = (await large)!;
    expect(capacity).to.include({ frames: 1, memoryUsedMb: 900 });
    leave();
    expect(capacity).to.include({ frames: 0, memoryUsedMb: 0 });
  });

  it("a frame for which there is no slot goes back", async () => {
    const capacity = createCapacity({ slots: 1, memoryMb: 1_000, patienceMs: 5 });
    await capacity.enter(1, never());
    expect(await capacity.enter(1, never())).to.equal(undefined);
  });

  it("while it is drained it asks for nothing and takes nothing in; what is under way goes on", async () => {
    const capacity = createCapacity({ slots: 1, memoryMb: 1_000 });
    const leave = (await capacity.enter(1, never()))!;
    const inLine = capacity.enter(1, never());
    capacity.draining = true;
    expect(await inLine).to.equal(undefined);
    expect(await capacity.enter(1, never())).to.equal(undefined);
    expect(capacity.tryReserve("a")).to.equal(undefined);
    expect(capacity.frames).to.equal(1);
    leave();
    const waiting = capacity.reserve("a", never());
    capacity.draining = false;
    capacity.release(await waiting);
  });
});
