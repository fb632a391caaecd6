import { expect } from "chai";
import { inBatches } from "../../../src/platform/inBatches.ts";

describe("work in batches", () => {
  it("goes on until nothing is left", async () => {
    let left = 12;
    const asked: number[] = [];
    const done = await inBatches(
      async (most) => {
        asked.push(most);
        const some = Math.min(most, left);
        left -= some;
        return some;
      },
      { batch: 5 },
    );
    expect(done).to.equal(12);
    expect(asked).to.deep.equal([5, 5, 5]);
  });

  it("ends when its time is over, with the rest left for the next run", async () => {
    let steps = 0;
    const endless = async (most: number) => {
      steps += 1;
      return most;
    };
    expect(await inBatches(endless, { batch: 5, forMs: 0 })).to.equal(5);
    expect(steps).to.equal(1);
  });
});
