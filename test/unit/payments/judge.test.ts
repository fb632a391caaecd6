import { expect } from "chai";
import { judge, needsConfirmation, type OrderStatus } from "../../../src/payments/order.ts";

const order = (status: OrderStatus, trade_no: string | null = null) => ({ amount: 5000n, status, trade_no });

describe("what a payment report means", () => {
  it("credits the ordered sum once", () => {
    expect(judge(order("pending"), { amount: 5000n, tradeNo: "a" })).to.deep.equal({ kind: "credit", late: false, flags: [] });
    expect(judge(order("paid"), { amount: 5000n, tradeNo: "a" }).kind).to.equal("credit");
    expect(judge(order("completed", "a"), { amount: 5000n, tradeNo: "a" }).kind).to.equal("already_credited");
    expect(judge(order("refunded", "a"), { amount: 5000n, tradeNo: "a" }).kind).to.equal("already_credited");
  });

  it("credits and flags a payment for a closed order", () => {
    expect(judge(order("expired"), { amount: 5000n, tradeNo: "a" })).to.deep.equal({ kind: "credit", late: true, flags: ["late"] });
    expect(judge(order("failed"), { amount: 5000n, tradeNo: "a" })).to.deep.equal({ kind: "credit", late: true, flags: ["late"] });
    expect(judge(order("cancelled"), { amount: 5000n, tradeNo: "a" })).to.deep.equal({
      kind: "credit",
      late: true,
      flags: ["late", "paid_after_cancel"],
    });
  });

  it("never credits a second payment or another sum", () => {
    expect(judge(order("completed", "a"), { amount: 5000n, tradeNo: "b" }).kind).to.equal("second_payment");
    expect(judge(order("pending"), { amount: 4999n, tradeNo: "a" }).kind).to.equal("wrong_amount");
    expect(judge(order("expired"), { amount: 5001n, tradeNo: "a" }).kind).to.equal("wrong_amount");
  });

  it("believes a callback without asking only for little money and an open order", () => {
    const callback = { reportedBy: "callback" } as const;
    expect(needsConfirmation(order("pending"), callback, 10_000n)).to.equal(false);
    expect(needsConfirmation(order("pending"), callback, 5000n)).to.equal(true);
    expect(needsConfirmation(order("expired"), callback, 10_000n)).to.equal(false);
    expect(needsConfirmation(order("expired"), { reportedBy: "query" }, 1n)).to.equal(false);
  });
});
