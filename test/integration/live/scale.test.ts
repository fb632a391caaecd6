import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { startScale, type Scale } from "./scale.ts";

/** TEST_SCALE=full: 5,000 sockets and 1,000 subscribers. */
const FULL = process.env["TEST_SCALE"] === "full";
const SOCKETS = FULL ? 5_000 : 1_000;
const SUBSCRIBERS = FULL ? 1_000 : 300;

describe("live push to many", function () {
  this.timeout(120_000);
  const places = useStack();
  let scale: Scale;

  before(async () => {
    scale = await startScale(places.redisUrl);
  });
  after(() => scale.stop());

  it(`takes no more than 25 KB for each of ${SOCKETS} sockets`, async () => {
    const { bytes, heapBytes } = await scale.memory(SOCKETS);
    expect(heapBytes).to.be.below(25 * 1_024);
    // Pages come in large pieces: with few sockets they weigh more on each.
    expect(bytes).to.be.below((FULL ? 25 : 40) * 1_024);
  });

  it(`reaches ${SUBSCRIBERS} subscribers in time`, async () => {
    const report = await scale.fanOut(SUBSCRIBERS, "everybody");
    expect(report).to.include({ clients: SUBSCRIBERS, whole: SUBSCRIBERS, gaps: 0 });
    // The machine that runs all tests at once has other work to do.
    expect(report.p99).to.be.below(FULL ? 200 : 1_000);
  });

  it("misses nothing when 30 % of the clients are cut and come back at any copy", async () => {
    const report = await scale.cut(SUBSCRIBERS);
    expect(report.cut).to.be.above(SUBSCRIBERS / 10);
    expect(report).to.include({ clients: SUBSCRIBERS, whole: SUBSCRIBERS, gaps: 0 });
  });
});
