import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createSampler } from "../../../src/platform/tracing/sampler.ts";
import { parseTraceparent } from "../../../src/platform/tracing/traceparent.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

describe("traceparent", () => {
  it("of a sampled and of an unsampled caller is read", () => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).to.deep.equal({ traceId: TRACE, spanId: SPAN, sampled: true });
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)).to.deep.equal({ traceId: TRACE, spanId: SPAN, sampled: false });
  });

  it("of a later version is read by what it shares with the first", () => {
    expect(parseTraceparent(`01-${TRACE}-${SPAN}-03-more`)).to.deep.equal({ traceId: TRACE, spanId: SPAN, sampled: true });
  });

  const bad = [
    "",
    "nonsense",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
  ];
  for (const text of bad) {
    it(`is ignored when it is ${JSON.stringify(text)}`, () => {
      expect(parseTraceparent(text)).to.equal(undefined);
    });
  }
});

describe("which requests are traced", () => {
  const parent = (sampled: boolean) => ({ traceId: TRACE, spanId: SPAN, sampled });

  it("by ratio: about that share, none at 0, all at 1", () => {
    const ids = Array.from({ length: 20_000 }, () => uuidv7());
    const share = (ratio: number) => ids.filter((id) => createSampler("traceidratio", ratio)(undefined, id)).length / ids.length;
    expect(share(0)).to.equal(0);
    expect(share(1)).to.equal(1);
    expect(share(0.1)).to.be.within(0.08, 0.12);
  });

  it("a caller's decision counts where the sampler says so, and there alone", () => {
    const id = uuidv7();
    expect(createSampler("parentbased_traceidratio", 0)(parent(true), id)).to.equal(true);
    expect(createSampler("parentbased_always_on", 1)(parent(false), id)).to.equal(false);
    expect(createSampler("traceidratio", 0)(parent(true), id)).to.equal(false);
    expect(createSampler("always_on", 0)(parent(false), id)).to.equal(true);
    expect(createSampler("always_off", 1)(parent(true), id)).to.equal(false);
  });

  it("services that share a trace decide alike", () => {
    const decide = createSampler("traceidratio", 0.5);
    expect(decide(parent(true), uuidv7())).to.equal(decide(parent(false), uuidv7()));
  });
});
