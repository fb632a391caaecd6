import { expect } from "chai";
import fc from "fast-check";
import { createRedis, type Redis } from "../../../src/platform/redis.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createLimiter } from "../../../src/gateway/limits/index.ts";
import { createLocalLimiter } from "../../../src/gateway/limits/local.ts";
import { checksOf, planOf, type Rules } from "../../../src/gateway/limits/plan.ts";
import { admitScript, RELEASE } from "../../../src/gateway/limits/script.ts";
import { amountOf } from "../../../src/gateway/limits/verdict.ts";
import type { Ask, Permit, Plan } from "../../../src/gateway/limits/types.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Relay } from "./harness.ts";
import { closed, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";
import { startProxy, type Proxy } from "./proxy.ts";

const log = createLogger({ level: "silent", name: "test" });
const leaseMs = 25_000;
let users = 0;
const nextUser = (): string => `tk:{u:test${++users}}`;
const planFor = (root: string, rules: Rules): Plan => planOf(checksOf("user", root, rules));
let calls = 0;
const ask = (plan: Plan, fields: Partial<Ask> = {}): Ask => ({ plan, callId: `c${++calls}`, tokens: 0, weightPercent: 100, ...fields });

describe("limits in Redis", () => {
  const places = useStack();
  let redis: Redis;

  before(async () => {
    redis = createRedis({ url: places.redisUrl, log });
    await waitFor(() => redis.status === "ready", { timeoutMs: 5_000, message: "redis" });
  });
  after(() => redis.disconnect());

  it("decide as the local limiter does, call by call and end by end", async () => {
    // The clock of the property instead of Redis's own; what a script wrote expires by Redis's own, which is far from the end.
    const clock = (script: string) => script.replace("redis.call('TIME')", "{math.floor(ARGV[#ARGV] / 1000), (ARGV[#ARGV] % 1000) * 1000}");
    const [admit, release] = [clock(admitScript(leaseMs)), clock(RELEASE)];
    const rules = fc.record(
      {
        requests_per_minute: fc.integer({ min: 1, max: 8 }),
        requests_per_second: fc.integer({ min: 1, max: 3 }),
        tokens_per_minute: fc.integer({ min: 1, max: 1_000 }),
        max_parallel: fc.integer({ min: 1, max: 3 }),
      },
      { requiredKeys: [] },
    );
    const bounds = fc.record({ user: rules, key: rules, model: rules, tried: rules });
    const step = fc.record({
      gap: fc.oneof(fc.nat(1_200), fc.nat(45_000)),
      tokens: fc.nat(700),
      used: fc.nat(900),
      end: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), bounds, async (steps, bound) => {
        const root = nextUser();
        const plan = planOf([
          ...checksOf("user", root, bound.user),
          ...checksOf("key", `${root}:k`, bound.key),
          ...checksOf("model", `${root}:m`, bound.model),
          ...checksOf("global", `${root}:g`, bound.tried, true),
        ]);
        const [told, toldThere]: string[][] = [[], []];
        const here = createLocalLimiter(({ id }) => told!.push(id));
        const there = createLocalLimiter(({ id }) => toldThere!.push(id));
        let running: { here: Permit; there: Permit }[] = [];
        let now = Math.floor(Date.now() / 1_000) * 1_000;
        const give = async ({ here: mine, there: theirs }: { here: Permit; there: Permit }, used: number) => {
          const by = there.release(theirs, used, now);
          expect(here.release(mine, used, now)).to.deep.equal(by);
          const { reserved, sets, id } = theirs;
          const keys = [...reserved.map((one) => one.id), ...sets];
          if (by)
            await redis.eval(
              release,
              keys.length,
              ...keys,
              id,
              reserved.length,
              ...reserved.flatMap((one, i) => [one.fromMs, by[i]!]),
              now,
            );
        };
        for (const { gap, tokens, used, end } of steps) {
          now += gap;
          // Leases end by the clock; the local limiter's permits do not, so every call ends before its lease would.
          if (end || gap > 5_000) {
            for (const permits of running) await give(permits, used);
            running = [];
          }
          const asked = ask(plan, { tokens });
          const { checks, shape } = plan;
          const limits = checks.flatMap((check) => (check.kind === "tokens" ? [check.limit, amountOf(check, tokens)] : [check.limit]));
          const ids = checks.map(({ id }) => id);
          const reply = (await redis.eval(admit, ids.length, ...ids, asked.callId, shape, ...limits, now)) as number[];
          const verdict = here.admit(asked, now);
          const followed = there.follow(asked, reply);
          expect(followed).to.deep.equal(verdict);
          expect(toldThere).to.deep.equal(told);
          if (verdict.allowed && followed.allowed && verdict.permit) running.push({ here: verdict.permit, there: followed.permit! });
        }
        for (const permits of running) await give(permits, 0);
      }),
      { numRuns: 60 },
    );
  });

  it("a permit that nobody renews returns by itself, one that is renewed stays", async () => {
    let nowMs = 0;
    const limiter = createLimiter({ redis, log, leaseMs, now: () => nowMs });
    const root = nextUser();
    const plan = planFor(root, { max_parallel: 1 });
    expect((await limiter.admit(ask(plan, { callId: "call-1" }))).allowed).to.equal(true);
    expect((await limiter.admit(ask(plan))).allowed).to.equal(false);
    const set = `${root}:p`;
    await redis.zadd(set, 1, "call-1");
    nowMs += leaseMs / 2;
    limiter.tick(nowMs);
    await waitFor(async () => Number(await redis.zscore(set, "call-1")) > 1, { timeoutMs: 2_000, message: "the renewal" });
    expect(Number(await redis.zscore(set, "call-1")) - Date.now()).to.be.within(leaseMs - 10_000, leaseMs + 1_000);
    // As if its copy had died a lease ago.
    await redis.zadd(set, 1, "call-1");
    expect((await limiter.admit(ask(plan))).allowed).to.equal(true);
  });

  it("go on locally while Redis is gone, and return to it by themselves", async () => {
    const proxy = await startProxy(places.redisUrl);
    const cut = createRedis({ url: proxy.url, log });
    await waitFor(() => cut.status === "ready", { timeoutMs: 5_000, message: "redis" });
    const limiter = createLimiter({ redis: cut, log, leaseMs });
    const five = planFor(nextUser(), { requests_per_minute: 5, max_parallel: 3 });
    for (let i = 0; i < 2; i++) expect((await limiter.admit(ask(five))).allowed).to.equal(true);
    proxy.cut();
    const verdicts = [];
    for (let i = 0; i < 4; i++) verdicts.push(await limiter.admit(ask(five)));
    // It knows of the two calls that still run, and of the requests already counted.
    expect(verdicts.map((verdict) => verdict.allowed)).to.deep.equal([true, false, false, false]);
    proxy.mend();
    const root = nextUser();
    const other = planFor(root, { requests_per_minute: 5 });
    await waitFor(
      async () => {
        await limiter.admit(ask(other));
        return (await redis.exists(`${root}:r`)) === 1;
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
    expect(limited.headers.get("x-ratelimit-reset-requests")).to.match(/^(5\d(\.\d+)?s|1m0s)$/);
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
