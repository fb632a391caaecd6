import { expect } from "chai";
import { request } from "../support/people.ts";
import { waitFor } from "../support/stack.ts";
import { startCopies, startCountingUpstream, type Copies, type CountingUpstream } from "./copies.ts";

const FULL = process.env["TEST_SCALE"] === "full";
const CALLS = FULL ? 1_000 : 120;
/** Each call uses 8 tokens and asks for a few more. */
const TOKENS = 8;
const LEASE_S = FULL ? 25 : 3;

const SCOPES = ["user", "key", "token", "ip", "model", "global"] as const;
const KINDS = ["requests_per_minute", "tokens_per_minute", "max_parallel"] as const;
type ScopeName = (typeof SCOPES)[number];
type KindName = (typeof KINDS)[number];

/** Allowed by the limit, in calls. */
const ALLOWED = CALLS * 0.6;
const limitOf = (kind: KindName): number => (kind === "tokens_per_minute" ? ALLOWED * TOKENS : ALLOWED);

interface Storm {
  results: Promise<number>[];
  /** To both copies in turn, or to one. */
  send(count: number, copy?: number): void;
}

describe("limits over two copies of the api", function () {
  this.timeout(300_000);
  let copies: Copies;
  let upstream: CountingUpstream;
  let addresses = 0;

  before(async () => {
    upstream = await startCountingUpstream();
    copies = await startCopies({ PERMIT_LEASE: `${LEASE_S}s` });
  });
  after(async () => {
    await copies?.destroy();
    await upstream?.close();
  });
  afterEach(async () => {
    upstream.go();
    const { items } = await copies.admin.get<{ items: { id: string }[] }>("/api/admin/limits");
    for (const { id } of items) await copies.admin.call("DELETE", `/api/admin/limits/${id}`);
  });

  /** A caller who meets this limit and no other, and a way to send calls to both copies in turn. */
  async function storm(scope: ScopeName, kind: KindName): Promise<Storm> {
    const rules = { [kind]: limitOf(kind) };
    const model = await copies.model(upstream.url);
    const ada = await copies.customer(scope === "user" ? rules : {});
    let { key } = ada;
    if (scope === "key") ({ key } = await ada.post<{ key: string }>("/api/user/keys", { name: "limited", limits: rules }));
    else if (scope === "token") key = await mintToken(key, rules);
    else if (scope !== "user") await setShared(scope, model, rules);
    const ip = `198.51.${(addresses += 1)}.1`;
    const results: Promise<number>[] = [];
    return {
      results,
      send(count, copy) {
        for (let i = 0; i < count; i++) results.push(call(copy ?? results.length % 2, key, model, ip));
      },
    };
  }

  async function mintToken(key: string, rules: object): Promise<string> {
    const body = { budget: "100000", ...rules };
    const answer = await request<{ token: string }>(copies.urls[0]!, "POST", "/api/keys/tokens", { token: key, body });
    return answer.body.data.token;
  }

  async function setShared(scope: ScopeName, model: string, limits: object): Promise<void> {
    const body = { scope, limits, ...(scope === "model" ? { model } : {}) };
    const answer = await copies.admin.call("PUT", "/api/admin/limits", body);
    expect(answer.status, answer.body.message).to.equal(200);
  }

  async function call(copy: number, key: string, model: string, ip: string): Promise<number> {
    try {
      const response = await fetch(`${copies.urls[copy]}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}`, "x-forwarded-for": ip },
        body: JSON.stringify({ model, max_tokens: 5, messages: [{ role: "user", content: "hi" }] }),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  }

  const count = (statuses: number[], status: number): number => statuses.filter((one) => one === status).length;

  async function expectRates(statuses: number[], kind: KindName): Promise<void> {
    const allowed = count(statuses, 200);
    expect([...new Set(statuses)].sort((a, b) => a - b)).to.deep.equal([200, 429]);
    // At most one in a hundred over; under only by what reservations of calls under way take.
    expect(allowed).to.be.at.most(ALLOWED * 1.01);
    expect(allowed).to.be.at.least(ALLOWED * (kind === "tokens_per_minute" ? 0.5 : 1));
  }

  /** Waits until every call that was sent runs or is refused; answers how many run. */
  async function decided({ results }: Storm): Promise<number> {
    let ended = 0;
    for (const result of results) void result.then(() => (ended += 1));
    await waitFor(() => ended + upstream.running === results.length, { timeoutMs: 60_000, message: "every call to be decided" });
    return upstream.running;
  }

  for (const kind of KINDS) {
    for (const scope of SCOPES) {
      it(`${CALLS} calls at once against ${kind} of ${scope}`, async () => {
        const calls = await storm(scope, kind);
        upstream.reset();
        if (kind === "max_parallel") upstream.hold();
        calls.send(CALLS);
        if (kind === "max_parallel") {
          expect(await decided(calls)).to.equal(ALLOWED);
          upstream.go();
          const statuses = await Promise.all(calls.results);
          expect([upstream.most, count(statuses, 200)]).to.deep.equal([ALLOWED, ALLOWED]);
        } else await expectRates(await Promise.all(calls.results), kind);
      });
    }
  }

  describe("while Redis is killed and comes back empty", () => {
    // What all calls together have used before is forgotten with the copies that knew of it.
    before(async () => {
      await copies.destroy();
      copies = await startCopies({ PERMIT_LEASE: `${LEASE_S}s` });
    });

    const PAIRS: [ScopeName, KindName][] = FULL
      ? KINDS.flatMap((kind) => SCOPES.map((scope): [ScopeName, KindName] => [scope, kind]))
      : [
          ["user", "requests_per_minute"],
          ["global", "max_parallel"],
          ["model", "tokens_per_minute"],
        ];
    for (const [scope, kind] of PAIRS) {
      it(`${CALLS} calls against ${kind} of ${scope}`, async () => {
        const calls = await storm(scope, kind);
        const quarter = CALLS / 4;
        upstream.reset();
        if (kind === "max_parallel") upstream.hold();
        calls.send(quarter);
        await decided(calls);
        const killed = copies.killRedis();
        calls.send(quarter);
        await killed;
        await decided(calls);
        calls.send(quarter);
        await decided(calls);
        const started = copies.startRedis();
        calls.send(quarter / 2);
        await started;
        calls.send(quarter / 2);
        const running = await decided(calls);
        await waitUntilReturned();
        calls.send(quarter);
        if (kind === "max_parallel") {
          expect([running, await decided(calls), upstream.most]).to.deep.equal([ALLOWED, ALLOWED, ALLOWED]);
          upstream.go();
          expect(count(await Promise.all(calls.results), 200)).to.equal(ALLOWED);
        } else await expectRates(await Promise.all(calls.results), kind);
      });
    }
  });

  /** Until both copies count in Redis again. */
  async function waitUntilReturned(): Promise<void> {
    await waitFor(
      async () => {
        const probe = await copies.customer({ requests_per_minute: 1_000 });
        const headers = { authorization: `Bearer ${probe.key}` };
        await Promise.all(copies.urls.map(async (url) => (await fetch(`${url}/v1/models`, { headers })).arrayBuffer()));
        const { rowCount } = await copies.db.query("SELECT 1 FROM limit_windows WHERE id LIKE $1", [`%${probe.id}%`]);
        return rowCount === 0;
      },
      { timeoutMs: 20_000, message: "redis to be used again" },
    );
  }

  it(`permits of a copy that is killed return within ${LEASE_S + 5} s, those of the other stay`, async () => {
    const calls = await storm("user", "max_parallel");
    upstream.hold();
    calls.send(CALLS);
    expect(await decided(calls)).to.equal(ALLOWED);
    const [, second] = copies.stacks;
    const killedMs = performance.now();
    await second!.part("api").kill("SIGKILL");
    await Promise.all(calls.results.filter((_, i) => i % 2 === 1));
    const left = await decided(calls);
    expect(left).to.be.within(1, ALLOWED - 1);
    const returnedMs = await waitFor(
      async () => {
        calls.send(1, 0);
        return (await decided(calls)) > left && performance.now() - killedMs;
      },
      { timeoutMs: (LEASE_S + 10) * 1_000, everyMs: 250, message: "the permits to return" },
    );
    // A permit is renewed three times in its life, so that it has between two thirds and all of it left.
    expect(returnedMs).to.be.within((LEASE_S * 1_000) / 2, (LEASE_S + 5) * 1_000);
    await second!.part("api").start();
    calls.send(CALLS);
    expect(await decided(calls)).to.equal(ALLOWED);
    upstream.go();
    await Promise.all(calls.results);
  });
});
