import { expect } from "chai";
import { refusedHold } from "../../../src/gateway/pipeline/refusedHold.ts";

describe("a call of an account that owes", () => {
  const owing = { kind: "refused", reason: "insufficient_balance", available: 0n, total: 0n, shortfall: 50n, owed: 43_000_000n } as const;

  it("says to a key how much", () => {
    expect(refusedHold(owing, null)).to.deep.include({
      code: "insufficient_balance",
      message: "The wallet owes 43 credits for earlier use",
      details: { shortfall: "43" },
    });
  });

  it("says nothing of it to an end-user token", () => {
    const refusal = refusedHold(owing, "a-token");
    expect(refusal).to.include({ code: "insufficient_balance", message: "The wallet does not cover this call" });
    expect(refusal).not.to.have.property("details");
  });
});
