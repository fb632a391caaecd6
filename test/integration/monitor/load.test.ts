import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { eventsOf, openStream } from "./client.ts";
import { startMonitor, type MonitorRig } from "./rig.ts";

const SECONDS = process.env["TEST_SCALE"] === "full" ? 30 : 3;
const LISTENERS = 200;
const PER_SECOND = 1_000;
const TICK_MS = 20;

interface Seen {
  least: number;
  most: number;
  byes: number;
}

async function ask(child: ChildProcess): Promise<Seen> {
  child.send("count");
  const [seen] = (await once(child, "message")) as [Seen];
  return seen;
}

describe("the monitor under load", () => {
  const places = useStack();
  let rig: MonitorRig;

  beforeEach(async () => (rig = await startMonitor(places.redisUrl)));
  afterEach(() => rig.close());

  it(`tells ${LISTENERS} listeners each of ${PER_SECOND} events a second`, async function () {
    this.timeout((SECONDS + 60) * 1_000);
    const clients = fork(fileURLToPath(new URL("./clients.process.js", import.meta.url)), [rig.url, String(LISTENERS)]);
    try {
      await once(clients, "message");
      const began = performance.now();
      while (rig.told < SECONDS * PER_SECOND) {
        await delay(TICK_MS);
        rig.tell(Math.min(((performance.now() - began) / 1_000) * PER_SECOND, SECONDS * PER_SECOND) - rig.told);
      }
      const all = await waitFor(
        async () => {
          const seen = await ask(clients);
          return seen.least === rig.told ? seen : undefined;
        },
        { timeoutMs: 30_000, everyMs: 200, message: "every listener to be told everything" },
      );
      expect(all).to.deep.equal({ least: rig.told, most: rig.told, byes: 0 });
    } finally {
      clients.kill();
    }
  });

  it("cuts off a listener that takes nothing, with the reason; it comes back and has missed nothing", async function () {
    this.timeout(60_000);
    const slow = await openStream(rig.url, { token: "slow" });
    const quick = await openStream(rig.url, { token: "quick" });
    rig.tell(10);
    await waitFor(() => eventsOf(slow).length === 10);
    slow.pause();
    await waitFor(
      async () => {
        rig.tell(100);
        return (await rig.metrics()).includes('tollkeeper_monitor_cut_total{reason="slow"} 1');
      },
      { timeoutMs: 30_000, everyMs: 20 },
    );
    await waitFor(() => eventsOf(quick).length === rig.told, { timeoutMs: 20_000 });
    expect(quick.ended).to.equal(false);
    slow.resume();
    await waitFor(() => slow.ended);
    expect(slow.messages.at(-1)).to.deep.include({ event: "bye", data: { reason: "slow" } });

    rig.tell(50);
    const back = await openStream(rig.url, { token: "slow", lastEventId: slow.lastEventId });
    await waitFor(() => eventsOf(slow).length + eventsOf(back).length >= rig.told, { timeoutMs: 20_000 });
    const ids = [...eventsOf(slow), ...eventsOf(back)].map(({ request_id }) => request_id);
    expect(ids).to.deep.equal(Array.from({ length: rig.told }, (_, i) => `n-${i + 1}`));
    expect(back.messages.some(({ event }) => event === "gap")).to.equal(false);
    for (const stream of [quick, back]) stream.close();
  });

  it("publishes nothing while nobody listens, and says what a listener that comes back too late has missed", async function () {
    this.timeout(60_000);
    rig.tell(100);
    const stream = await openStream(rig.url, { token: "late", lastEventId: undefined });
    rig.tell(1);
    await waitFor(() => eventsOf(stream).length > 0);
    expect(eventsOf(stream).length).to.be.at.most(101);
    stream.close();
    await rig.redis.del("tollkeeper:{monitor}:listening");
    const lengths: number[] = [];
    // Longer than a process goes on without looking whether anybody listens.
    await waitFor(async () => {
      rig.tell(1);
      lengths.push(await rig.redis.xlen("tollkeeper:{monitor}:stream"));
      return lengths.length > 10 && new Set(lengths.slice(-10)).size === 1;
    });
    rig.tell(7);
    const back = await openStream(rig.url, { token: "late", lastEventId: stream.lastEventId });
    rig.tell(1);
    const gap = await waitFor(() => back.messages.find(({ event }) => event === "gap"));
    expect(gap.data).to.include({ reason: "nobody_listened" });
    expect((gap.data as { events: number }).events).to.be.at.least(7);
    back.close();
  });
});
