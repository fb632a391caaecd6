import { expect } from "chai";
import { createMetrics } from "../../../src/platform/metrics.ts";
import { readSamples, total } from "../../support/metrics.ts";

describe("metrics", () => {
  it("a counter shows 0 before anything was counted, then what was", async () => {
    const metrics = createMetrics();
    const counter = metrics.counter({ name: "things_total", help: "Things." });
    expect(await metrics.text()).to.contain("# HELP things_total Things.\n# TYPE things_total counter\nthings_total 0\n");
    counter.add();
    counter.add(2);
    expect(total(readSamples(await metrics.text()), "things_total")).to.equal(3);
  });

  it("series of one name are told apart by their labels, whatever these hold", async () => {
    const metrics = createMetrics();
    const family = metrics.counters({ name: "things_total", help: "Things.", labels: ["kind", "size"] });
    family.of('a"b\\c\nd', "1").add();
    family.of("a", "2").add(4);
    const samples = readSamples(await metrics.text());
    expect(total(samples, "things_total", { kind: 'a\\"b\\\\c\\nd', size: "1" })).to.equal(1);
    expect(total(samples, "things_total", { kind: "a", size: "2" })).to.equal(4);
    expect(family.of("a", "2")).to.equal(family.of("a", "2"));
  });

  it("beyond the limit of series the rest is counted together as other", async () => {
    const metrics = createMetrics();
    const family = metrics.counters({ name: "things_total", help: "Things.", labels: ["kind"], limit: 10 });
    for (let n = 0; n < 1_000; n++) family.of(`kind-${n}`).add();
    family.of("kind-0").add();
    const samples = readSamples(await metrics.text());
    expect(samples).to.have.length(11);
    expect(total(samples, "things_total", { kind: "other" })).to.equal(990);
    expect(total(samples, "things_total", { kind: "kind-0" })).to.equal(2);
  });

  it("a histogram's buckets are cumulative, and a value on a bound belongs to its bucket", async () => {
    const metrics = createMetrics();
    const histogram = metrics.histogram({ name: "wait_seconds", help: "Waits.", buckets: [0.1, 1] });
    for (const value of [0.05, 0.1, 0.5, 3]) histogram.observe(value);
    const text = await metrics.text();
    expect(text).to.contain('wait_seconds_bucket{le="0.1"} 2\nwait_seconds_bucket{le="1"} 3\nwait_seconds_bucket{le="+Inf"} 4\n');
    expect(text).to.contain("wait_seconds_count 4\n");
    expect(total(readSamples(text), "wait_seconds_sum")).to.be.closeTo(3.65, 1e-9);
  });

  it("a gauge that cannot be read has no value, and the others are still told", async () => {
    const metrics = createMetrics();
    metrics.gauge({ name: "broken", help: "Broken.", read: () => Promise.reject(new Error("away")) });
    metrics.gauge({ name: "depth", help: "Depth.", read: async () => [{ labels: { state: "waiting" }, value: 7 }] });
    const samples = readSamples(await metrics.text());
    expect(samples).to.deep.equal([{ name: "depth", labels: { state: "waiting" }, value: 7 }]);
  });

  it("a name declared twice is refused", () => {
    const metrics = createMetrics();
    metrics.counter({ name: "things_total", help: "Things." });
    expect(() => metrics.counter({ name: "things_total", help: "Other things." })).to.throw("things_total");
  });

  it("the process's own figures are there: CPU, memory, event loop lag", async () => {
    const samples = readSamples(await createMetrics({ standard: true }).text());
    const names = new Set(samples.map((sample) => sample.name));
    expect(names).to.include.members([
      "process_cpu_seconds_total",
      "process_resident_memory_bytes",
      "nodejs_eventloop_lag_seconds",
      "nodejs_eventloop_lag_p99_seconds",
    ]);
  });
});
