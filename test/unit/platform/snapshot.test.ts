import { expect } from "chai";
import { createSnapshot } from "../../../src/platform/snapshot.ts";
import type { Invalidation } from "../../../src/platform/invalidation.ts";

function fakeInvalidation() {
  const listeners: ((id: string) => void)[] = [];
  const state = { fresh: true };
  const invalidation: Invalidation = {
    on: (_topic, listener) => void listeners.push(listener),
    get fresh() {
      return state.fresh;
    },
    start: async () => undefined,
    stop: async () => undefined,
  };
  return { invalidation, state, announce: () => listeners.forEach((listener) => listener("x")) };
}

/** A table whose reads finish when told. */
function slowTable() {
  const reads: ((value: number) => void)[] = [];
  return { reads, load: () => new Promise<number>((resolve) => reads.push(resolve)) };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("a table kept in memory", () => {
  function setUp() {
    const fake = fakeInvalidation();
    const table = slowTable();
    return {
      ...fake,
      ...table,
      snapshot: createSnapshot({ invalidation: fake.invalidation, topics: ["model"], maxAgeMs: 60_000, load: table.load }),
    };
  }

  it("is read once and then taken from memory", async () => {
    const { snapshot, reads } = setUp();
    const asked = snapshot.get();
    reads[0]!(1);
    expect(await asked).to.equal(1);
    expect(await snapshot.get()).to.equal(1);
    expect(snapshot.peek()).to.equal(1);
    expect(reads).to.have.length(1);
  });

  it("is read again after a change", async () => {
    const { snapshot, reads, announce } = setUp();
    const first = snapshot.get();
    reads[0]!(1);
    await first;
    announce();
    expect(snapshot.peek()).to.equal(undefined);
    const second = snapshot.get();
    reads[1]!(2);
    expect(await second).to.equal(2);
  });

  it("does not keep what was read while a change came in", async () => {
    const { snapshot, reads, announce } = setUp();
    const asked = snapshot.get();
    announce();
    reads[0]!(1);
    await asked;
    expect(snapshot.peek()).to.equal(undefined);
  });

  it("never answers with a read that began before the question", async () => {
    const { snapshot, reads, announce } = setUp();
    const early = snapshot.get();
    announce();
    const late = [snapshot.get(), snapshot.get()];
    reads[0]!(1);
    expect(await early).to.equal(1);
    await settle();
    reads[1]!(2);
    expect(await Promise.all(late)).to.deep.equal([2, 2]);
    expect(reads).to.have.length(2);
  });

  it("is read for every question while changes may be missed", async () => {
    const { snapshot, reads, state } = setUp();
    state.fresh = false;
    for (const value of [1, 2]) {
      const asked = snapshot.get();
      reads.at(-1)!(value);
      expect(await asked).to.equal(value);
    }
    expect(snapshot.peek()).to.equal(undefined);
    expect(reads).to.have.length(2);
  });

  it("goes on after a read that failed", async () => {
    const { invalidation } = fakeInvalidation();
    let failing = true;
    const snapshot = createSnapshot({
      invalidation,
      topics: ["model"],
      maxAgeMs: 60_000,
      load: async () => {
        if (failing) throw new Error("away");
        return 7;
      },
    });
    expect(await Promise.all([snapshot.get(), snapshot.get()].map((asked) => asked.catch((error: Error) => error.message)))).to.deep.equal([
      "away",
      "away",
    ]);
    failing = false;
    expect(await snapshot.get()).to.equal(7);
  });
});
