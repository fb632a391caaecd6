import { expect } from "chai";
import { createNudger } from "../../../src/usage/nudge.ts";
import { waitFor } from "../../support/waitFor.ts";

describe("nudging a shard's settlement", () => {
  it("the first call wakes it at once, a burst after it wakes it once more", async () => {
    const woken: number[] = [];
    const nudger = createNudger({ wake: async (shard) => void woken.push(shard), intervalMs: 40 });
    nudger.nudge([1]);
    expect(woken).to.deep.equal([1]);
    for (let i = 0; i < 100; i++) nudger.nudge([1]);
    expect(woken).to.deep.equal([1]);
    await waitFor(() => woken.length === 2);
    await nudger.stop();
    expect(woken).to.deep.equal([1, 1]);
  });

  it("shards do not wait for each other", () => {
    const woken: number[] = [];
    const nudger = createNudger({ wake: async (shard) => void woken.push(shard) });
    nudger.nudge([3, 4]);
    expect(woken).to.deep.equal([3, 4]);
    return nudger.stop();
  });

  it("while Temporal is away nobody notices, and the wake is sent when it is back", async () => {
    let away = true;
    let sent = 0;
    let tries = 0;
    const nudger = createNudger({
      wake: async () => {
        tries += 1;
        if (away) throw new Error("14 UNAVAILABLE");
        sent += 1;
      },
      intervalMs: 5,
      maxPauseMs: 20,
    });
    nudger.nudge([0]);
    await waitFor(() => tries >= 3);
    away = false;
    await waitFor(() => sent === 1);
    await nudger.stop();
  });

  it("a stop sends what is owed and does not wait for a server that does not answer", async () => {
    let calls = 0;
    const nudger = createNudger({
      wake: () => ((calls += 1), calls === 1 ? Promise.resolve() : new Promise(() => undefined)),
      intervalMs: 60_000,
    });
    nudger.nudge([0]);
    await waitFor(() => calls === 1);
    nudger.nudge([0]);
    const began = performance.now();
    await nudger.stop();
    expect(calls).to.equal(2);
    expect(performance.now() - began).to.be.lessThan(3_000);
  });
});
