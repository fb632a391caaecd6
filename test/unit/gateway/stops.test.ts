import { expect } from "chai";
import { createStops } from "../../../src/gateway/pipeline/stops.ts";
import type { Listener } from "../../../src/gateway/upstream/exchange.ts";
import type { Route } from "../../../src/gateway/routing/index.ts";
import { createLogger } from "../../../src/platform/logger.ts";

describe("answers that are to be stopped", () => {
  const log = createLogger({ level: "silent", name: "test" });
  const routeTo = (id: string): Route =>
    ({
      candidate: {
        provider: {
          id,
          name: id,
          apiRoot: `http://${id}.example/v1`,
          speaks: "dify",
          apiFormat: "dify",
          headers: {},
          timeouts: { connectMs: 1_000 },
        },
        upstreamModel: "app",
      },
      key: { value: "k", fingerprint: "f" },
    }) as unknown as Route;
  const stop = { path: "/chat-messages/t/stop", body: Buffer.from("{}") };

  function rig(more: { atOnce?: number; mostWaiting?: number }) {
    const asked: { url: string; listener: Listener }[] = [];
    let dropped = 0;
    const upstream = {
      send: ({ url }: { url: string }, listener: Listener) => {
        asked.push({ url, listener });
        return { abort: () => undefined } as never;
      },
    };
    const later = (_ms: number, then: () => void) => setImmediate(then);
    const stops = createStops({ upstream, later, log, dropped: () => (dropped += 1), ...more });
    return {
      stops,
      asked,
      get dropped() {
        return dropped;
      },
      async answer(n: number, status: number) {
        asked[n]!.listener.head(status, {});
        asked[n]!.listener.done();
        await new Promise((resolve) => setImmediate(resolve));
      },
    };
  }

  it("are stopped one after the other when there are many, and none is left out", async () => {
    const at = rig({ atOnce: 2 });
    for (let n = 0; n < 5; n++) at.stops.tell(routeTo("dify"), stop);
    expect([at.asked.length, at.stops.size]).to.deep.equal([2, 5]);
    for (let n = 0; n < 5; n++) await at.answer(n, 200);
    await at.stops.idle();
    expect([at.asked.length, at.stops.size, at.dropped]).to.deep.equal([5, 0, 0]);
  });

  it("wait for nobody at another provider", () => {
    const at = rig({ atOnce: 1 });
    for (const id of ["slow", "slow", "quick"]) at.stops.tell(routeTo(id), stop);
    expect(at.asked.map(({ url }) => new URL(url).hostname)).to.deep.equal(["slow.example", "quick.example"]);
  });

  it("are asked for again when the provider fails, three times at most", async () => {
    const at = rig({});
    at.stops.tell(routeTo("dify"), stop);
    for (let n = 0; n < 3; n++) {
      await at.answer(n, 503);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await at.stops.idle();
    expect(at.asked).to.have.length(3);
  });

  it("are left to end, and counted, when too many wait", () => {
    const at = rig({ atOnce: 1, mostWaiting: 2 });
    for (let n = 0; n < 3; n++) at.stops.tell(routeTo("dify"), stop);
    expect([at.stops.size, at.dropped]).to.deep.equal([2, 1]);
  });
});
