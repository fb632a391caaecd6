import { expect } from "chai";
import fc from "fast-check";
import { shardOf } from "../../../src/usage/index.ts";

describe("settlement shards", () => {
  it("a wallet always belongs to the same shard, and there is such a shard", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), fc.integer({ min: 1, max: 1_024 }), (wallet, shards) => {
        const shard = shardOf(wallet, shards);
        return Number.isInteger(shard) && shard >= 0 && shard < shards && shard === shardOf(wallet, shards);
      }),
    );
  });

  it("wallets made one after the other spread over all shards", () => {
    const counts = Array.from({ length: 16 }, () => 0);
    for (let wallet = 1n; wallet <= 1_600n; wallet++) counts[shardOf(wallet, 16)]! += 1;
    expect(Math.min(...counts)).to.be.greaterThan(80);
    expect(Math.max(...counts)).to.be.lessThan(120);
  });
});
