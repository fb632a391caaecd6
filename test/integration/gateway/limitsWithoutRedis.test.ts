import { expect } from "chai";
import { Redis } from "ioredis";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { startProxy, type Proxy } from "./proxy.ts";
import { DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

/** As a Redis that was restarted and keeps nothing. */
async function empty(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.flushdb();
  await redis.quit();
}

describe("limits of two copies while Redis is away", () => {
  const places = useStack();
  let upstream: RawUpstream;
  let proxies: Proxy[];
  let copies: Relay[];
  let model: string;
  const wide = { requests_per_minute: 100_000, max_parallel: 1_000 };

  before(async () => {
    upstream = await startRawUpstream();
    proxies = [await startProxy(places.redisUrl), await startProxy(places.redisUrl)];
    copies = await Promise.all(proxies.map(({ url }) => startRelay({ ...places, redisUrl: url })));
    model = await copies[0]!.model([upstream.url]);
  });
  after(async () => {
    for (const copy of copies ?? []) await copy.close();
    for (const proxy of proxies ?? []) await proxy.close();
    await upstream?.close();
  });
  beforeEach(async () => {
    upstream.behave(streamOf(text("a"), STOP, usage(10, 5), DONE));
    for (const proxy of proxies) proxy.mend();
    await waitFor(async () => (await copies[0]!.redis.ping()) + (await copies[1]!.redis.ping()), { timeoutMs: 5_000, message: "redis" });
  });

  async function call(customer: Customer, copy: number, signal?: AbortSignal): Promise<Response> {
    const response = await fetch(`${copies[copy]!.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${customer.key}` },
      ...(signal ? { signal } : {}),
      body: JSON.stringify({ model, stream: true, max_tokens: 10, messages: [{ role: "user", content: "hi" }] }),
    });
    await response.text();
    return response;
  }
  const burst = (count: number, customer: Customer, signal?: AbortSignal) =>
    Promise.allSettled(Array.from({ length: count }, (_, i) => call(customer, i % 2, signal)));
  const allowed = (results: PromiseSettledResult<Response>[]): number =>
    results.filter((result) => result.status === "fulfilled" && result.value.status === 200).length;
  const cut = () => proxies.forEach((proxy) => proxy.cut());
  /** Until calls are counted in Redis again; it is then as empty as a new one, or as it was. */
  async function returned(options: { empty: boolean }): Promise<void> {
    if (options.empty) await empty(places.redisUrl);
    for (const proxy of proxies) proxy.mend();
    await waitFor(
      async () => {
        const probe = await copies[0]!.customer({ userLimits: wide });
        await Promise.all([call(probe, 0), call(probe, 1)]);
        const { rowCount } = await copies[0]!.pool.query("SELECT 1 FROM limit_windows WHERE id LIKE $1", [`%${probe.userId}%`]);
        return rowCount === 0;
      },
      { timeoutMs: 10_000, message: "redis to be used again" },
    );
  }
  for (const fresh of [true, false]) {
    const what = fresh ? "comes back empty" : "comes back as it was";

    it(`requests are counted together before, meanwhile, and when it ${what}`, async () => {
      const ada = await copies[0]!.customer({ userLimits: { ...wide, requests_per_minute: 60 } });
      expect(allowed(await burst(20, ada))).to.equal(20);
      cut();
      expect(allowed(await burst(20, ada))).to.equal(20);
      await returned({ empty: fresh });
      expect(allowed(await burst(50, ada))).to.equal(20);
    });

    it(`tokens are counted together before, meanwhile, and when it ${what}`, async () => {
      const ada = await copies[0]!.customer({ userLimits: { ...wide, tokens_per_minute: 600 } });
      const one = async () => allowed(await burst(2, ada));
      let calls = 0;
      for (let i = 0; i < 6; i++) calls += await one();
      expect(calls).to.equal(12);
      cut();
      for (let i = 0; i < 6; i++) calls += await one();
      expect(calls).to.equal(24);
      await returned({ empty: fresh });
      for (let more = 1; more > 0; calls += more) more = await one();
      // Each uses 15 and must find room for about 20.
      expect(calls * 15).to.be.within(560, 600);
    });

    it(`calls at once are counted together before, meanwhile, and when it ${what}`, async () => {
      const ada = await copies[0]!.customer({ userLimits: { ...wide, max_parallel: 12 } });
      let ends: (() => void)[] = [];
      upstream.behave(async (socket, request) => {
        await new Promise<void>((resolve) => ends.push(resolve));
        await streamOf(text("a"), STOP, usage(1, 1), DONE)(socket, request);
      });
      const running: Promise<unknown>[] = [];
      /** Ten more calls; answers how many run when all the others are refused. */
      async function ten(): Promise<number> {
        let refused = 0;
        const before = ends.length;
        const calls = Array.from({ length: 10 }, (_, i) => call(ada, i % 2).then(({ status }) => status === 429 && (refused += 1)));
        running.push(...calls);
        await waitFor(() => refused + ends.length - before === 10, { timeoutMs: 5_000, message: "ten decisions" });
        return ends.length;
      }
      expect(await ten()).to.equal(10);
      cut();
      expect(await ten()).to.equal(12);
      for (const end of ends.splice(0, 5)) end();
      await waitFor(async () => (await ten()) === 12, { timeoutMs: 5_000, message: "the places to return" });
      await returnedWhileRunning({ empty: fresh });
      expect(await ten()).to.equal(12);
      for (const end of ends.splice(0, 5)) end();
      await waitFor(async () => (await ten()) === 12, { timeoutMs: 5_000, message: "the places to return" });
      for (const end of ends) end();
      ends = [];
      await Promise.all(running);

      async function returnedWhileRunning(options: { empty: boolean }): Promise<void> {
        const held = upstream;
        const back = ends;
        ends = [];
        held.behave(streamOf(text("a"), STOP, usage(1, 1), DONE));
        await returned(options);
        ends = back;
        held.behave(async (socket, request) => {
          await new Promise<void>((resolve) => ends.push(resolve));
          await streamOf(text("a"), STOP, usage(1, 1), DONE)(socket, request);
        });
      }
    });
  }

  it("one copy that alone cannot reach it makes both count elsewhere", async () => {
    const ada = await copies[0]!.customer({ userLimits: { ...wide, requests_per_minute: 30 } });
    expect(allowed(await burst(10, ada))).to.equal(10);
    proxies[1]!.cut();
    expect(allowed(await burst(40, ada))).to.equal(20);
  });

  it("that hangs holds nobody up for long, and limits hold", async () => {
    const ada = await copies[0]!.customer({ userLimits: { ...wide, requests_per_minute: 40, max_parallel: 20 } });
    expect(allowed(await burst(10, ada))).to.equal(10);
    for (const proxy of proxies) proxy.stall();
    const since = performance.now();
    expect(allowed(await burst(10, ada))).to.equal(10);
    expect(performance.now() - since).to.be.below(4_000);
    expect(allowed(await burst(10, ada))).to.equal(10);
    await returned({ empty: false });
    // What it was sent while it hung it counts as well when it wakes up: never more than allowed, sometimes less.
    expect(allowed(await burst(30, ada))).to.be.at.most(10);
    const grace = await copies[0]!.customer({ userLimits: { ...wide, max_parallel: 1 } });
    expect(allowed(await burst(1, grace))).to.equal(1);
  });
});
