import { expect } from "chai";
import { createBus, createRedisStreamSink, type Bus } from "../../../src/activity/index.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createRedis, type Redis } from "../../../src/platform/redis.ts";
import { interruptible } from "../../support/proxy.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { watched, type Watched } from "../../unit/activity/support.ts";

const log = createLogger({ level: "silent", name: "test" });

describe("events in a Redis Stream", () => {
  const places = useStack();
  let direct: Redis;
  let through: Redis;
  let proxy: Awaited<ReturnType<typeof interruptible>>;

  before(async () => {
    const { hostname, port, pathname } = new URL(places.redisUrl);
    proxy = await interruptible(Number(port), hostname);
    direct = createRedis({ url: places.redisUrl, log });
    through = createRedis({ url: `redis://127.0.0.1:${proxy.port}${pathname}`, log });
    await waitFor(() => direct.status === "ready" && through.status === "ready");
  });
  after(async () => {
    for (const redis of [direct, through]) redis.disconnect();
    proxy.cut();
    await proxy.close();
  });

  function start(stream: string, more: { limit?: number; maxLength?: number } = {}): { bus: Bus; seen: Watched } {
    const seen = watched();
    const { metrics, log } = seen;
    const bus = createBus();
    bus.addSink(createRedisStreamSink({ redis: through, stream, maxLength: 100_000, limit: 10_000, everyMs: 10, metrics, log, ...more }));
    return { bus, seen };
  }

  const tell = (bus: Bus, count: number): void => {
    for (let n = 0; n < count; n++) bus.emit({ kind: "user.verified", user_id: "ada", request_id: `request-${n}` });
  };

  async function read(stream: string): Promise<{ kind: string; id: string; request_id: string }[]> {
    const entries = await direct.xrange(stream, "-", "+");
    return entries.map(([, [, kind, , event]]) => ({ ...(JSON.parse(event!) as { id: string; request_id: string }), kind: kind! }));
  }

  it("arrive in order with kind and JSON", async () => {
    const { bus } = start("one");
    tell(bus, 1_200);
    await bus.stop(5_000);
    const events = await read("one");
    expect(events.map(({ request_id }) => request_id)).to.deep.equal(Array.from({ length: 1_200 }, (_, n) => `request-${n}`));
    expect(new Set(events.map(({ kind }) => kind))).to.deep.equal(new Set(["user.verified"]));
  });

  it("are kept up to about a number", async () => {
    const { bus } = start("short", { maxLength: 500 });
    tell(bus, 5_000);
    await bus.stop(5_000);
    expect(await direct.xlen("short")).to.be.within(500, 700);
    expect((await read("short")).at(-1)!.request_id).to.equal("request-4999");
  });

  it("wait while Redis is away, up to a bound, and all of those arrive when it is back", async () => {
    const { bus, seen } = start("away", { limit: 300 });
    proxy.cut();
    tell(bus, 400);
    await waitFor(() => seen.lines.some(({ msg }) => msg === "events cannot be written"));
    expect(await seen.count('tollkeeper_activity_dropped_total{sink="redis",reason="full"}')).to.equal(100);
    proxy.heal();
    await waitFor(async () => (await seen.count('tollkeeper_activity_written_total{sink="redis"}')) === 300);
    await bus.stop(1_000);
    const ids = new Set((await read("away")).map(({ id }) => id));
    expect(ids.size).to.equal(300);
    expect(seen.lines.map(({ msg }) => msg)).to.include("events are written again");
  });
});
