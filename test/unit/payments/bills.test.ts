import { expect } from "chai";
import { moneyOf } from "../../../src/wallet/bills.ts";

describe("the money's worth of credits", () => {
  it("is exact where it can be", () => {
    expect(moneyOf(93_000_000n, 10_000_000n)).to.equal("9.30");
    expect(moneyOf(500_000_000n, 10_000_000n)).to.equal("50.00");
    expect(moneyOf(1n, 1_000_000n)).to.equal("0.000001");
    expect(moneyOf(0n, 10_000_000n)).to.equal("0.00");
  });

  it("is rounded half up at 6 decimals where it cannot", () => {
    expect(moneyOf(1_000_000n, 3_000_000n)).to.equal("0.333333");
    expect(moneyOf(2_000_000n, 3_000_000n)).to.equal("0.666667");
    expect(moneyOf(1n, 2_000_000n)).to.equal("0.000001");
  });
});
