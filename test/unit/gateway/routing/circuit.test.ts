import { expect } from "chai";
import { Circuit } from "../../../../src/gateway/routing/circuit.ts";

const config = { enabled: true, windowMs: 10_000, minCalls: 10, failurePercent: 50, coolDownMs: 1_000 };
/** What the provider alone can bring about. */
const BROKEN = { account: "ada", ownDoing: false };
const middle = () => 0.5;

describe("a circuit breaker", () => {
  it("opens when half of at least ten calls in the window failed", () => {
    const circuit = new Circuit(config);
    for (let i = 0; i < 5; i++) circuit.passed(100, "ada");
    for (let i = 0; i < 4; i++) expect(circuit.failed(200, BROKEN)).to.equal(false);
    expect(circuit.failed(200, BROKEN)).to.equal(true);
    expect(circuit.counts(200)).to.deep.equal({ calls: 10, failures: 5 });
  });

  it("stays closed below the share, and below the number of calls", () => {
    const circuit = new Circuit(config);
    for (let i = 0; i < 100; i++) {
      for (let n = 0; n < 9; n++) circuit.passed(i * 100, "ada");
      expect(circuit.failed(i * 100, BROKEN)).to.equal(false);
    }
    const quiet = new Circuit(config);
    for (let i = 0; i < 9; i++) expect(quiet.failed(i, BROKEN)).to.equal(false);
  });

  it("forgets what has left the window", () => {
    const circuit = new Circuit(config);
    for (let i = 0; i < 9; i++) circuit.failed(0, BROKEN);
    circuit.passed(5_000, "ada");
    expect(circuit.counts(9_999)).to.deep.equal({ calls: 10, failures: 9 });
    expect(circuit.counts(10_500)).to.deep.equal({ calls: 1, failures: 0 });
    expect(circuit.counts(1_000_000)).to.deep.equal({ calls: 0, failures: 0 });
    expect(circuit.failed(1_000_000, BROKEN)).to.equal(false);
  });

  it("opens after ten failures in a row, however slowly they come", () => {
    const circuit = new Circuit(config);
    for (let i = 0; i < 9; i++) expect(circuit.failed(i * 60_000, BROKEN)).to.equal(false);
    expect(circuit.failed(9 * 60_000, BROKEN)).to.equal(true);
  });

  it("is open for its time and then half open, longer with every trial that fails, and closed as new", () => {
    const circuit = new Circuit(config);
    const lengths = [];
    for (let i = 0; i < 10; i++) {
      const ms = circuit.coolDown(middle);
      lengths.push(ms);
      circuit.openFor(ms, circuit.trips + 1, 0);
    }
    expect(lengths).to.deep.equal([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 120_000, 120_000, 120_000]);
    expect(circuit.state(119_999)).to.equal("open");
    expect(circuit.state(120_000)).to.equal("half_open");
    circuit.close();
    expect([circuit.state(120_000), circuit.coolDown(middle), circuit.counts(0).calls]).to.deep.equal(["closed", 1_000, 0]);
  });

  it("does not come back at the same moment everywhere", () => {
    const circuit = new Circuit(config);
    expect([circuit.coolDown(() => 0), circuit.coolDown(() => 0.999_999)]).to.deep.equal([800, 1_200]);
  });

  it("never opens when it is switched off", () => {
    const circuit = new Circuit({ ...config, enabled: false });
    for (let i = 0; i < 100; i++) expect(circuit.failed(i, BROKEN)).to.equal(false);
  });

  it("does not open by one account's failures while others are answered", () => {
    const circuit = new Circuit(config);
    circuit.passed(0, "bob");
    for (let i = 1; i < 100; i++) expect(circuit.failed(i, BROKEN)).to.equal(false);
    expect(circuit.failed(100, { ...BROKEN, account: "cy" })).to.equal(false);
    expect(circuit.failed(101, { ...BROKEN, account: "dan" })).to.equal(true);
    const alone = new Circuit(config);
    alone.passed(0, "bob");
    for (let i = 1; i < 10; i++) alone.failed(10_000 + i, BROKEN);
    expect(alone.failed(10_020, BROKEN), "nobody else in the window").to.equal(true);
  });

  it("opens by what a caller can bring about only when three accounts met it", () => {
    const own = (account: string) => ({ account, ownDoing: true });
    const circuit = new Circuit(config);
    for (let i = 0; i < 100; i++) expect(circuit.failed(i, own(["ada", "bob"][i % 2]!))).to.equal(false);
    expect(circuit.failed(100, own("cy"))).to.equal(true);
    circuit.close();
    for (let i = 0; i < 10; i++) expect(circuit.failed(200 + i, own("cy"))).to.equal(false);
  });
});
