import { AsyncLocalStorage } from "node:async_hooks";
import { expect } from "chai";
import { restWhenEmpty } from "../../../src/platform/restingStorage.ts";

describe("an async-local store that rests while nobody is in it", () => {
  function rig() {
    const storage = new AsyncLocalStorage<string>();
    let rests = 0;
    const enter = restWhenEmpty({
      disable() {
        rests += 1;
        storage.disable();
      },
    });
    return { storage, enter, rests: () => rests };
  }

  it("keeps what everybody in it has until the last one leaves", async () => {
    const { storage, enter, rests } = rig();
    const first = enter();
    const second = enter();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const seen = [
      storage.run("a", async () => (await gate, storage.getStore())),
      storage.run("b", async () => (await gate, storage.getStore())),
    ];
    first();
    expect(rests()).to.equal(0);
    go();
    expect(await Promise.all(seen)).to.deep.equal(["a", "b"]);
    second();
    expect(rests()).to.equal(1);
  });

  it("counts one who leaves twice once", () => {
    const { enter, rests } = rig();
    const first = enter();
    const second = enter();
    first();
    first();
    expect(rests()).to.equal(0);
    second();
    expect(rests()).to.equal(1);
  });

  it("is on again for the next one", async () => {
    const { storage, enter } = rig();
    storage.run("before", enter());
    const leave = enter();
    const seen = await storage.run("after", async () => {
      await Promise.resolve();
      return storage.getStore();
    });
    leave();
    expect(seen).to.equal("after");
    expect(storage.getStore()).to.equal(undefined);
  });
});
