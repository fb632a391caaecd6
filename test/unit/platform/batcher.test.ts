import { expect } from "chai";
import fc from "fast-check";
import { createBatcher } from "../../../src/platform/batcher.ts";

function gate(): { wait: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}

describe("group commit", () => {
  it("sends what has accumulated as one batch when the previous one returns", async () => {
    const sizes: number[] = [];
    const first = gate();
    const batcher = createBatcher<number, number>({
      run: async (items) => {
        sizes.push(items.length);
        if (sizes.length === 1) await first.wait;
        return items.map((item) => item * 2);
      },
    });
    const one = batcher.add(1);
    await new Promise((resolve) => setImmediate(resolve));
    const rest = [2, 3, 4].map((item) => batcher.add(item));
    expect(batcher.size).to.equal(4);
    first.open();
    expect(await Promise.all([one, ...rest])).to.deep.equal([2, 4, 6, 8]);
    expect(sizes).to.deep.equal([1, 3]);
    await batcher.idle();
    expect(batcher.size).to.equal(0);
  });

  it("lets batches gather where they are to be spaced, and the first of a quiet time wait for nothing", async () => {
    const began: { at: number; size: number }[] = [];
    const batcher = createBatcher<number, number>({
      spacingMs: 40,
      run: async (items) => {
        began.push({ at: performance.now(), size: items.length });
        return items;
      },
    });
    const start = performance.now();
    expect(await batcher.add(1)).to.equal(1);
    expect(performance.now() - start).to.be.below(35);
    expect(await Promise.all([batcher.add(2), batcher.add(3)])).to.deep.equal([2, 3]);
    const last = batcher.add(4);
    await batcher.idle();
    expect(await last).to.equal(4);
    expect(began.map(({ size }) => size)).to.deep.equal([1, 2, 1]);
    // A timer may fire a fraction of a millisecond early.
    expect(began[1]!.at - began[0]!.at).to.be.at.least(38);
    expect(began[2]!.at - began[1]!.at).to.be.at.least(38);
  });

  it("gives every caller its own answer, whatever the sizes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer(), { maxLength: 200 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 4 }),
        async (items, maxBatch, lanes) => {
          const batcher = createBatcher<number, string>({
            maxBatch,
            lanes,
            run: async (batch) => {
              expect(batch.length).to.be.at.most(maxBatch);
              await Promise.resolve();
              return batch.map(String);
            },
          });
          expect(await Promise.all(items.map((item) => batcher.add(item)))).to.deep.equal(items.map(String));
        },
      ),
    );
  });

  it("fails only the callers of a batch that failed, and goes on", async () => {
    let calls = 0;
    const batcher = createBatcher<number, number>({
      maxBatch: 2,
      run: async (items) => {
        calls += 1;
        if (calls === 1) throw new Error("lost");
        return items;
      },
    });
    const outcomes = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
    expect(outcomes.map((outcome) => outcome.status)).to.deep.equal(["rejected", "rejected", "fulfilled"]);
  });

  it("refuses a batch that answers too few", async () => {
    const batcher = createBatcher<number, number>({ run: async () => [] });
    expect(await batcher.add(1).catch((error: Error) => error.message)).to.contain("got 0 answers");
  });
});
