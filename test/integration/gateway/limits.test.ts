import { expect } from "chai";
import fc from "fast-check";
import { createRedis, type Redis } from "../../../src/platform/redis.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createLocalLimiter } from "../../../src/gateway/limits/local.ts";
import { createLimiter } from "../../../src/gateway/limits/index.ts";
import { ADMIT, permitsKey, rateKey } from "../../../src/gateway/limits/script.ts";
import type { CallLimits, Permit } from "../../../src/gateway/limits/types.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Relay } from "./harness.ts";
import { closed, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";
import { startProxy, type Proxy } from "./proxy.ts";

const log = createLogger({ level: "silent", name: "test" });
let users = 0;
const limits = (fields: Partial<CallLimits> = {}): CallLimits => {
  const userId = fields.userId ?? `u${++users}`;
  return {
    userId,
    keyId: `k${userId}`,
    userPerMinute: undefined,
    keyPerMinute: undefined,
    userParallel: undefined,
    keyParallel: undefined,
    ...fields,
  };
};

describe("limits in Redis", () => {
  const places = useStack();
  let redis: Redis;

  before(async () => {
    redis = createRedis({ url: places.redisUrl, log });
    await waitFor(() => redis.status === "ready", { timeoutMs: 5_000, message: "redis" });
  });
  after(() => redis.disconnect());

  it("decide as the local limiter does, call by call", async () => {
    const script = ADMIT.replace("redis.call('TIME')", "{ARGV[6], 0}");
    const steps = fc.array(fc.record({ gap: fc.nat(45), key: fc.constantFrom("a", "b"), end: fc.boolean() }), {
      minLength: 1,
      maxLength: 60,
    });
    const bounds = fc.record({
      user: fc.integer({ min: 1, max: 8 }),
      key: fc.integer({ min: 1, max: 6 }),
      parallel: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(steps, bounds, async (calls, bound) => {
        const local = createLocalLimiter();
        const base = limits({ userPerMinute: bound.user, keyPerMinute: bound.key, userParallel: bound.parallel });
        const running: Permit[] = [];
        let seconds = 1_800_000_000;
        let n = 0;
        for (const { gap, key, end } of calls) {
          // Leases end by the clock; the local limiter's permits do not, so every call ends before its lease would.
          seconds += gap;
          if (end || gap > 0) {
            for (const permit of running.splice(0)) {
              local.release(permit);
              await redis.zrem(permitsKey(base.userId), permit.id);
            }
          }
          const asked = { ...base, keyId: `${base.userId}${key}` };
          const id = `c${++n}`;
          const here = local.admit(asked, id, seconds * 1_000);
          const there = (await redis.eval(
            script,
            4,
            rateKey(asked.userId),
            rateKey(asked.userId, asked.keyId),
            permitsKey(asked.userId),
            permitsKey(asked.userId, asked.keyId),
            bound.user,
            bound.key,
            bound.parallel,
            0,
            id,
            seconds,
          )) as number[];
          const [reason, limit, remaining, resetMs, retryMs] = there;
          expect(reason === 0).to.equal(here.allowed);
          if (here.allowed) {
            expect({ limit, remaining, resetMs }).to.deep.equal(here.rate);
            running.push(here.permit!);
          } else {
            expect([reason! <= 2 ? "rate" : "parallel", reason! % 2 === 1 ? "user" : "key", retryMs]).to.deep.equal([
              here.reason,
              here.scope,
              here.retryMs,
            ]);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it("a permit that nobody renews returns by itself, one that is renewed stays", async () => {
    const limiter = createLimiter({ redis, log });
    const one = limits({ userParallel: 1 });
    const first = await limiter.admit(one, "call-1");
    expect(first.allowed).to.equal(true);
    expect((await limiter.admit(one, "call-2")).allowed).to.equal(false);
    // As if its copy had died 30 s ago.
    await redis.zadd(permitsKey(one.userId), 1, "call-1");
    expect((await limiter.admit(one, "call-3")).allowed).to.equal(true);
    if (first.allowed) limiter.renew([{ ...first.permit!, id: "call-3" }]);
    const until = Number(await redis.zscore(permitsKey(one.userId), "call-3"));
    expect(until - Date.now()).to.be.within(15_000, 30_000);
  });

  it("go on locally while Redis is gone, and return to it by themselves", async () => {
    const proxy = await startProxy(places.redisUrl);
    const cut = createRedis({ url: proxy.url, log });
    await waitFor(() => cut.status === "ready", { timeoutMs: 5_000, message: "redis" });
    const limiter = createLimiter({ redis: cut, log });
    const five = limits({ userPerMinute: 5, userParallel: 3 });
    for (let i = 0; i < 2; i++) expect((await limiter.admit(five, `r${i}`)).allowed).to.equal(true);
    proxy.cut();
    const verdicts = [];
    for (let i = 0; i < 4; i++) verdicts.push(await limiter.admit(five, `l${i}`));
    // It knows of the two calls that still run, and of the requests already counted.
    expect(verdicts.map((verdict) => verdict.allowed)).to.deep.equal([true, false, false, false]);
    proxy.mend();
    const other = limits({ userPerMinute: 5 });
    await waitFor(
      async () => {
        await limiter.admit(other, undefined);
        return (await redis.exists(rateKey(other.userId))) === 1;
      },
      { timeoutMs: 8_000, message: "redis to be used again" },
    );
    cut.disconnect();
    await proxy.close();
  });
});

describe("limits as callers meet them", () => {
  const places = useStack();
  let upstream: RawUpstream;
  let proxy: Proxy;
  let copies: Relay[];
  let model: string;

  before(async () => {
    upstream = await startRawUpstream();
    proxy = await startProxy(places.redisUrl);
    copies = [await startRelay(places), await startRelay({ ...places, redisUrl: proxy.url })];
    model = await copies[0]!.model([upstream.url]);
  });
  after(async () => {
    for (const copy of copies ?? []) await copy.close();
    await proxy?.close();
    await upstream?.close();
  });

  function call(key: string, copy = 0): Promise<Response> {
    return fetch(`${copies[copy]!.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, stream: true, max_tokens: 10, messages: [{ role: "user", content: "hi" }] }),
    });
  }
  const drain = (response: Response): Promise<string> => response.text();

  it("a burst over two copies gets exactly the requests a minute allows", async () => {
    upstream.behave(streamOf(text("a"), STOP, usage(1, 1), DONE));
    const ada = await copies[0]!.customer({ userLimits: { requests_per_minute: 20, max_parallel: 1_000 } });
    const responses = await Promise.all(Array.from({ length: 60 }, (_, i) => call(ada.key, i % 2)));
    await Promise.all(responses.map(drain));
    const allowed = responses.filter(({ status }) => status === 200);
    expect(allowed).to.have.length(20);
    const limited = responses.find(({ status }) => status === 429)!;
    expect(limited.headers.get("x-ratelimit-limit-requests")).to.equal("20");
    expect(limited.headers.get("x-ratelimit-remaining-requests")).to.equal("0");
    expect(limited.headers.get("x-ratelimit-reset-requests")).to.match(/^(59(\.\d+)?s|1m0s)$/);
    expect(Number(limited.headers.get("retry-after"))).to.be.within(55, 64);
    expect(allowed.map(({ headers }) => Number(headers.get("x-ratelimit-remaining-requests"))).sort((a, b) => a - b)).to.deep.equal(
      Array.from({ length: 20 }, (_, i) => i),
    );
  });

  it("a caller with one parallel call never meets the permit of its last one", async () => {
    upstream.behave(streamOf(text("a"), STOP, usage(1, 1), DONE));
    const ada = await copies[0]!.customer({ userLimits: { max_parallel: 1, requests_per_minute: 1_000 } });
    for (let i = 0; i < 30; i++) {
      const response = await call(ada.key);
      await drain(response);
      expect(response.status, `call ${i}`).to.equal(200);
    }
  });

  it("parallel calls are counted over both copies, and a client that leaves makes room", async () => {
    upstream.behave((socket) => closed(socket));
    const ada = await copies[0]!.customer({ userLimits: { max_parallel: 3, requests_per_minute: 1_000 } });
    const controllers = Array.from({ length: 3 }, () => new AbortController());
    const running = controllers.map((controller, i) =>
      fetch(`${copies[i % 2]!.url}/v1/chat/completions`, {
        method: "POST",
        signal: controller.signal,
        headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
        body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], max_tokens: 10 }),
      }).catch(() => undefined),
    );
    await waitFor(() => upstream.requests.length === 3, { timeoutMs: 3_000, message: "three calls" });
    const fourth = await call(ada.key, 1);
    expect([
      fourth.status,
      fourth.headers.get("retry-after"),
      ((await fourth.json()) as { error: { code: string } }).error.code,
    ]).to.deep.equal([429, "1", "rate_limited"]);
    controllers[0]!.abort();
    upstream.behave(streamOf(text("a"), STOP, usage(1, 1), DONE));
    await waitFor(
      async () => {
        const response = await call(ada.key, 1);
        await drain(response);
        return response.status === 200;
      },
      { timeoutMs: 3_000, message: "room for another call" },
    );
    for (const controller of controllers) controller.abort();
    await Promise.all(running);
  });

  it("a copy without Redis serves, with the same limits", async () => {
    upstream.behave(streamOf(text("a"), STOP, usage(1, 1), DONE));
    const ada = await copies[0]!.customer({ userLimits: { requests_per_minute: 7, max_parallel: 100 } });
    proxy.cut();
    const responses = await Promise.all(Array.from({ length: 20 }, () => call(ada.key, 1)));
    await Promise.all(responses.map(drain));
    expect(responses.filter(({ status }) => status === 200)).to.have.length(7);
    proxy.mend();
  });
});
