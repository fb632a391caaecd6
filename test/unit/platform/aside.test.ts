import { expect } from "chai";
import { createAside, Waits } from "../../../src/platform/aside.ts";

/** A place aside over wallets that are locked as the test says. */
function place(options: { waitMs?: number; run?: (items: readonly string[]) => Promise<(string | Waits<bigint> | Error)[]> } = {}) {
  const locked = new Set<bigint>();
  const runs: string[][] = [];
  const aside = createAside<string, string, bigint>({
    free: async (ids) => new Set(ids.filter((id) => !locked.has(id))),
    waitMs: options.waitMs ?? 10_000,
    late: () => new Error("it took too long"),
    async run(items) {
      runs.push([...items]);
      return options.run ? options.run(items) : items.map((item) => `did ${item}`);
    },
  });
  return { aside, locked, runs };
}

describe("what waits for a wallet that somebody keeps locked", () => {
  it("is done when its own wallet is free, whoever else waits, and remembered until then", async () => {
    const { aside, locked, runs } = place();
    locked.add(1n).add(2n);
    const [one, two, three] = [aside.add("a", [1n]), aside.add("b", [2n]), aside.add("c", [1n, 2n])];
    expect([aside.waitsFor(1n), aside.waitsFor(2n), aside.waitsFor(3n), aside.size]).to.deep.equal([true, true, false, 3]);
    locked.delete(2n);
    expect(await two).to.equal("did b");
    locked.delete(1n);
    expect(await Promise.all([one, three])).to.deep.equal(["did a", "did c"]);
    await aside.idle();
    expect([aside.waitsFor(1n), aside.waitsFor(2n), aside.size]).to.deep.equal([false, false, 0]);
    expect(runs.flat().sort()).to.deep.equal(["a", "b", "c"]);
  });

  it("is given up when its sender waits no longer", async () => {
    const { aside, locked, runs } = place({ waitMs: 30 });
    locked.add(1n);
    const answer = await aside.add("a", [1n]);
    expect(answer).to.be.instanceOf(Error).and.to.have.property("message", "it took too long");
    expect([aside.size, runs.length]).to.deep.equal([0, 0]);
  });

  it("goes on waiting, for the wallets that it turns out to need", async () => {
    let tries = 0;
    const { aside, locked, runs } = place({
      run: async (items) => items.map((item) => ((tries += 1) === 1 ? new Waits([7n]) : `did ${item}`)),
    });
    locked.add(7n);
    const answer = aside.add("a", [1n]);
    while (runs.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect([aside.waitsFor(1n), aside.waitsFor(7n)]).to.deep.equal([false, true]);
    locked.delete(7n);
    expect(await answer).to.equal("did a");
    expect(tries).to.equal(2);
  });

  it("is told of what went wrong, and what comes later is done", async () => {
    let away = true;
    const { aside } = place({
      run: async (items) => {
        if (away) throw new Error("postgres is away");
        return items.map((item) => `did ${item}`);
      },
    });
    expect(await aside.add("a", [1n]))
      .to.be.instanceOf(Error)
      .and.to.have.property("message", "postgres is away");
    away = false;
    expect(await aside.add("b", [1n])).to.equal("did b");
  });
});
