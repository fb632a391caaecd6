import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { interruptible } from "../../support/proxy.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { connect, refusal, type Client } from "./client.ts";
import { createWorld, startLive, wsOf, type LiveRig } from "./rig.ts";

const ready = (client: Client, times = 1) =>
  waitFor(() => client.messages.filter(({ type }) => type === "ready").length >= times, { timeoutMs: 10_000 });
const numbers = (client: Client) => client.events.map(({ data }) => data["no"] as number);
const upTo = (count: number) => [...Array(count).keys()];

describe("live push when something breaks", function () {
  this.timeout(30_000);
  const places = useStack();
  const world = createWorld();
  const rigs: LiveRig[] = [];
  let proxy: Awaited<ReturnType<typeof interruptible>>;
  let throughProxy: string;

  before(async () => {
    const target = new URL(places.redisUrl);
    proxy = await interruptible(Number(target.port), target.hostname);
    throughProxy = `redis://127.0.0.1:${proxy.port}${target.pathname}`;
  });
  afterEach(() => Promise.all(rigs.splice(0).map((rig) => rig.close())));
  after(() => {
    proxy.cut();
    return proxy.close();
  });

  async function start(options: Parameters<typeof startLive>[2] = {}, url = places.redisUrl): Promise<LiveRig> {
    const rig = await startLive(url, world, options);
    rigs.push(rig);
    return rig;
  }
  const tell = (rig: LiveRig, userId: string, from: number, to: number, padding = ""): void => {
    for (let no = from; no < to; no++) rig.publish({ userId, type: "task.log", data: { task_id: "t", no, padding } });
  };

  it("drops a client that takes nothing, tells it why, and lets it go on where it was", async () => {
    const rig = await start({ mostWaiting: 64 * 1024 });
    const me = uuidv7();
    const [slow, quick] = await Promise.all([connect(wsOf(rig, me)), connect(wsOf(rig, me))]);
    await Promise.all([slow, quick].map((client) => ready(client)));
    slow.ws.pause();
    tell(rig, me, 0, 2_000, "x".repeat(8_000));
    await waitFor(async () => (await rig.metrics()).includes('tollkeeper_live_cut_total{reason="slow"} 1'), { timeoutMs: 10_000 });
    slow.ws.resume();
    await waitFor(() => slow.closed, { timeoutMs: 10_000 });
    expect(slow.closed).to.deep.equal({ code: 4413, reason: "slow" });
    await waitFor(() => quick.events.length === 2_000, { timeoutMs: 20_000 });
    const back = await connect(wsOf(rig, me), { lastEventId: slow.lastEventId });
    await ready(back);
    expect([...numbers(slow), ...numbers(back)]).to.deep.equal(upTo(2_000));
    for (const client of [quick, back]) client.break();
  });

  it("ends a connection whose other side is gone, and keeps one that answers", async () => {
    const rig = await start({ turnMs: 20 });
    const [gone, there] = await Promise.all([connect(wsOf(rig, uuidv7()), { autoPong: false }), connect(wsOf(rig, uuidv7()))]);
    await waitFor(() => gone.closed, { timeoutMs: 5_000 });
    await waitFor(() => there.messages.filter(({ type }) => type === "heartbeat").length >= 3, { timeoutMs: 5_000 });
    expect(there.closed).to.equal(undefined);
    there.break();
  });

  it("moves a quiet client on with its heartbeats, so that it may come back after hours of nothing", async () => {
    const rig = await start({ turnMs: 20 });
    const client = await connect(wsOf(rig, uuidv7()));
    await ready(client);
    const began = client.lastEventId!;
    const milliseconds = (id: string): number => Number(id.split("-")[0]);
    await waitFor(() => milliseconds(client.lastEventId!) > milliseconds(began) + 4_000, { timeoutMs: 15_000 });
    expect(client.events).to.deep.equal([]);
    client.break();
  });

  it("misses nothing when the connection on which it hears breaks", async () => {
    const rig = await start();
    const me = uuidv7();
    const client = await connect(wsOf(rig, me));
    await ready(client);
    for (let round = 0; round < 5; round++) {
      tell(rig, me, round * 100, round * 100 + 50);
      await rig.redis.call("CLIENT", "KILL", "TYPE", "pubsub");
      tell(rig, me, round * 100 + 50, round * 100 + 100);
      await ready(client, round + 2);
    }
    await waitFor(() => client.events.length >= 500);
    expect(numbers(client)).to.deep.equal(upTo(500));
    client.break();
  });

  it("misses and repeats nothing of what is told to many while that connection breaks", async () => {
    const rig = await start();
    const clients = await Promise.all(Array.from({ length: 150 }, () => connect(wsOf(rig, uuidv7()))));
    await Promise.all(clients.map((client) => ready(client)));
    for (let no = 0; no < 200; no++) {
      rig.publish({ userId: null, type: "notice", data: { no } });
      if (no % 40 === 20) await rig.redis.call("CLIENT", "KILL", "TYPE", "pubsub");
      if (no % 10 === 0) await rig.redis.ping();
    }
    await waitFor(() => clients.every(({ events }) => events.length >= 200), { timeoutMs: 20_000 });
    for (const client of clients) {
      expect(numbers(client)).to.deep.equal(upTo(200));
      client.break();
    }
  });

  it("keeps events while Redis is away, tells each once, and lets nobody in meanwhile", async () => {
    const rig = await start({}, throughProxy);
    const me = uuidv7();
    const client = await connect(wsOf(rig, me));
    await ready(client);
    tell(rig, me, 0, 100);
    proxy.cut();
    tell(rig, me, 100, 1_000);
    expect(await waitFor(() => refusal(wsOf(rig, me)).catch(() => undefined))).to.deep.equal({ status: 503, code: "unavailable" });
    proxy.heal();
    await waitFor(() => client.events.length >= 1_000, { timeoutMs: 10_000 });
    expect(numbers(client)).to.deep.equal(upTo(1_000));
    client.break();
  });

  it("tells of a gap when Redis has lost what it had", async () => {
    const rig = await start();
    const me = uuidv7();
    const client = await connect(wsOf(rig, me));
    await ready(client);
    tell(rig, me, 0, 10);
    await waitFor(() => client.events.length === 10);
    client.break();
    await rig.redis.flushdb();
    tell(rig, me, 10, 20);
    const back = await connect(wsOf(rig, me), { lastEventId: client.lastEventId });
    await ready(back);
    expect(back.events.map(({ type, data }) => [type, data["reason"]])).to.deep.equal([["gap", "lost"]]);
    back.break();
  });

  it("says goodbye when a copy stops, and another one goes on", async () => {
    const [one, two] = [await start(), await start()];
    const me = uuidv7();
    const client = await connect(wsOf(one!, me));
    await ready(client);
    tell(one!, me, 0, 50);
    const stopped = one!.live.stop();
    await waitFor(() => client.closed);
    expect(client.closed).to.deep.equal({ code: 1001, reason: "shutdown" });
    await stopped;
    expect((await refusal(wsOf(one!, me))).status).to.equal(503);
    const back = await connect(wsOf(two!, me), { lastEventId: client.lastEventId });
    await ready(back);
    await waitFor(() => client.events.length + back.events.length >= 50);
    expect([...numbers(client), ...numbers(back)]).to.deep.equal(upTo(50));
    back.break();
  });

  it("tells what is in a wallet when that changes, once for all copies", async () => {
    const [one, two] = [await start(), await start()];
    const me = uuidv7();
    const wallet = BigInt(me.length);
    world.wallets.set(wallet, { balance: 10_000_000n, held: 0n, lastSeq: 1n });
    const clients = await Promise.all([connect(wsOf(one!, me)), connect(wsOf(two!, me))]);
    const seen = (client: Client) => client.events.map(({ data }) => [data["total"], data["held"]]);
    await waitFor(() => clients.every(({ events }) => events.length === 1));
    world.wallets.set(wallet, { balance: 10_000_000n, held: 500_000n, lastSeq: 1n });
    await waitFor(() => clients.every(({ events }) => events.length === 2));
    world.wallets.set(wallet, { balance: 9_500_000n, held: 0n, lastSeq: 2n });
    await waitFor(() => clients.every(({ events }) => events.length === 3));
    const expected = [
      ["10", "0"],
      ["10", "0.5"],
      ["9.5", "0"],
    ];
    expect(clients.map(seen)).to.deep.equal([expected, expected]);
    for (const client of clients) client.break();
    world.wallets.delete(wallet);
  });
});
