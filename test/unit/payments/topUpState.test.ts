import { expect } from "chai";
import { TopUpProgress, type Report, type Status, type TopUpInput } from "../../../workflows/topUpState.ts";

const INPUT: TopUpInput = {
  orderNo: "TK1",
  userId: "u",
  expiresAt: 100_000,
  watchUntil: 200_000,
  poll: { firstMs: 1_000, factor: 1.5, maxMs: 8_000 },
  latePoll: { firstMs: 10_000, factor: 2, maxMs: 40_000 },
  confirmMs: 30_000,
  queriesPerRun: 1_000,
};
const REPORT: Report = { tradeNo: "t", amount: "5000", reportedBy: "query" };

function opened(status: Status = "pending"): TopUpProgress {
  const progress = new TopUpProgress(INPUT, 0);
  progress.opened({ status, payable: true, about: "" }, 0);
  return progress;
}

/** The times at which the provider is asked until `end`. */
function queryTimes(progress: TopUpProgress, from: number, end: number): number[] {
  const times: number[] = [];
  for (let now = from; now < end;) {
    const step = progress.next(now);
    if (step === "query") {
      times.push(now);
      progress.queried(now);
    } else if (step === "wait") now += progress.waitMs(now);
    else break;
  }
  return times;
}

describe("the course of a top-up", () => {
  it("asks the provider with growing pauses that never pass 8 seconds while the order is open", () => {
    const times = queryTimes(opened(), 0, 100_000);
    expect(times.slice(0, 4)).to.deep.equal([1_000, 2_500, 4_750, 8_125]);
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    expect(Math.max(...pauses)).to.equal(8_000);
  });

  it("closes at its time, then watches slowly, then ends", () => {
    const progress = opened();
    expect(progress.next(100_000)).to.equal("close");
    progress.moveTo("expired", 100_000);
    expect(queryTimes(progress, 100_000, 300_000)).to.deep.equal([110_000, 130_000, 170_000]);
    expect(progress.next(200_000)).to.equal("end");
  });

  it("does not watch an order that could never be paid", () => {
    const progress = new TopUpProgress(INPUT, 0);
    progress.opened({ status: "failed", payable: false, about: "" }, 0);
    expect(progress.next(0)).to.equal("end");
  });

  it("credits before anything else and ends when completed", () => {
    const progress = opened();
    progress.cancelAsked = true;
    progress.notice(REPORT);
    expect(progress.next(150_000)).to.equal("credit");
    progress.credited(progress.inbox.shift()!, { outcome: "credited", status: "completed", late: false }, 0);
    expect(progress.next(0)).to.equal("end");
  });

  it("goes on after a wrong sum, and does not look at the same report twice", () => {
    const progress = opened();
    progress.notice(REPORT);
    progress.notice({ ...REPORT, reportedBy: "callback" });
    expect(progress.inbox).to.have.length(1);
    progress.credited(progress.inbox.shift()!, { outcome: "wrong_amount", status: "pending", late: false }, 0);
    progress.notice(REPORT);
    expect(progress.inbox).to.have.length(0);
    progress.notice({ ...REPORT, tradeNo: "other" });
    expect(progress.inbox).to.have.length(1);
  });

  it("goes on asking when a callback was not confirmed, also after its watch", () => {
    const progress = opened("expired");
    progress.notice(REPORT);
    progress.credited(progress.inbox.shift()!, { outcome: "not_confirmed", status: "expired", late: false }, 300_000);
    expect(progress.next(300_000)).to.equal("wait");
    expect(progress.waitMs(300_000)).to.equal(1_000);
    expect(progress.next(330_000)).to.equal("end");
    progress.notice(REPORT);
    expect(progress.inbox).to.have.length(1);
  });

  it("refuses to cancel what is paid or over", () => {
    expect(opened().refusesCancel()).to.equal(undefined);
    expect(opened("paid").refusesCancel()).to.contain("payment");
    expect(opened("expired").refusesCancel()).to.contain("expired");
    const noticed = opened();
    noticed.notice(REPORT);
    expect(noticed.refusesCancel()).to.contain("payment");
  });
});
