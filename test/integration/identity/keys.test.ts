import { expect } from "chai";
import { hashKey } from "../../../src/identity/keyFormat.ts";
import { budgetsAt } from "../../../src/quotas/index.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { identityRig, member, type Rig } from "./harness.ts";

interface Key {
  id: string;
  name: string;
  key: string;
  prefix: string;
  status: string;
  limits: Record<string, unknown>;
  models: string[] | null;
  allowed_ips: string[] | null;
  expires_at: string | null;
  previous_expires_at: string | null;
}

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

describe("API keys", () => {
  const places = useStack();
  let rig: Rig;
  let other: Rig;
  before(async () => {
    rig = await identityRig(places, { settings: { REQUESTS_PER_MINUTE: 77 } });
    other = await identityRig(places);
  });
  after(async () => {
    await rig.close();
    await other.close();
  });

  async function owner() {
    const somebody = await member(rig);
    const call = <T = Key>(method: string, path: string, body?: unknown) => rig.call<T>(method, path, body, somebody.tokens.access_token);
    const make = async (body: Record<string, unknown> = {}) => {
      const answer = await call("POST", "/api/user/keys", { name: "test", ...body });
      expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
      return answer.body.data;
    };
    return { ...somebody, call, make };
  }
  const admin = (method: string, path: string, body: unknown) => rig.call(method, path, body, rig.admin.token);
  /** Both copies know the key as working. */
  async function knownEverywhere(key: string): Promise<void> {
    for (const copy of [rig, other]) expect(await copy.identity.authenticateKey(key)).to.not.equal(undefined);
  }
  const goneEverywhere = (key: string) =>
    waitFor(
      async () => (await Promise.all([rig, other].map((copy) => copy.identity.authenticateKey(key)))).every((found) => found === undefined),
      { timeoutMs: 1_000, everyMs: 5 },
    );

  it("shows the key once, stores its hash alone, and gives the relay everything it needs", async () => {
    const { id: userId, make, call } = await owner();
    const made = await make({
      name: "  production ",
      expires_at: inAnHour(),
      limits: { requests_per_minute: 5, spend_total: "12.5" },
      models: ["anthropic/claude-3.7-sonnet:thinking", "Demo-Chat"],
      allowed_ips: ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"],
    });
    expect(made.key).to.match(/^sk-tk-[0-9A-Za-z]{43}$/);
    expect(made).to.include({ name: "production", status: "active", prefix: made.key.slice(0, 12) });
    const shown = await call<{ items: Key[] }>("GET", "/api/user/keys");
    expect(JSON.stringify(shown.body)).to.not.contain(made.key);
    const stored = await rig.pool.query("SELECT * FROM api_keys WHERE id = $1", [made.id]);
    expect(JSON.stringify(stored.rows)).to.not.contain(made.key.slice(12));

    const found = (await rig.identity.authenticateKey(made.key))!;
    expect(found.principal).to.include({ userId, emailVerified: true, apiKeyId: made.id });
    expect(found.principal.walletId).to.be.a("bigint");
    expect(found.limits).to.deep.include({ key: { requests_per_minute: 5, spend_total: "12.5" }, token: null });
    expect(found.limits.user).to.include({ requests_per_minute: 77, max_parallel: 256 });
    expect(found.modelSet!.has("demo-chat")).to.equal(true);
    for (const [ip, allowed] of [
      ["203.0.113.7", true],
      ["::ffff:10.1.2.3", true],
      ["2001:db8::1", true],
      ["203.0.113.8", false],
      ["", false],
    ] as const) {
      expect(found.ipList!.has(ip), ip).to.equal(allowed);
    }
    expect(found.expiresAt!.toISOString()).to.equal(made.expires_at);
  });

  it("has the same day's spend limit in whatever time zone its user moves to", async () => {
    const { make, call, id: userId, tokens } = await owner();
    const { key, id } = await make({ limits: { spend_daily: "1", spend_monthly: "5" } });
    const counted = async () => {
      const byKey = (await rig.identity.authenticateKey(key))!.spend!;
      const asked = (await rig.identity.spendOf({ userId, apiKeyId: id }))!;
      const bySession = (await rig.identity.authenticateSession(tokens.access_token))!.spend?.zone;
      const shown = await rig.identity.keyLimits(userId, id);
      for (const zone of [asked.zone, bySession ?? asked.zone, shown!.zone]) expect(zone).to.deep.equal(byKey.zone);
      return budgetsAt(byKey, Date.now()).map(({ period }) => period);
    };
    const before = await counted();
    // 25 hours apart: wherever one begins, one of them has another date.
    for (const time_zone of ["Pacific/Kiritimati", "Pacific/Pago_Pago"]) {
      expect((await call<{ time_zone: string }>("PATCH", "/api/user/me", { time_zone })).body.data.time_zone).to.equal(time_zone);
      expect(await counted(), time_zone).to.deep.equal(before);
    }
  });

  it("signs /api requests by bearer or x-api-key, but makes no keys and opens nothing for operators", async () => {
    const { make, id } = await owner();
    const { key } = await make();
    const ways: Record<string, string>[] = [{ authorization: `Bearer ${key}` }, { "x-api-key": key }];
    for (const headers of ways) {
      const me = await rig.call<{ id: string }>("GET", "/api/user/me", undefined, undefined, headers);
      expect(me.body.data.id).to.equal(id);
      expect((await rig.call("POST", "/api/user/keys", { name: "more" }, undefined, headers)).status).to.equal(403);
    }
    expect((await rig.call("GET", "/api/user/me", undefined, undefined, { "x-api-key": `${key.slice(0, -1)}x` })).status).to.equal(401);
  });

  it("a typo is refused without asking the database", async () => {
    const { make } = await owner();
    const { key } = await make();
    const typo = key.slice(0, 10) + (key[10] === "a" ? "b" : "a") + key.slice(11);
    let queries = 0;
    const query = rig.pool.query.bind(rig.pool);
    rig.pool.query = ((...given: Parameters<typeof query>) => ((queries += 1), query(...given))) as typeof rig.pool.query;
    expect(await rig.identity.authenticateKey(typo)).to.equal(undefined);
    expect(await rig.identity.authenticateKey("")).to.equal(undefined);
    expect(queries).to.equal(0);
    await rig.identity.authenticateKey(key);
    await rig.identity.authenticateKey(key);
    await rig.identity.authenticateKey(key);
    expect(queries, "one query, then memory").to.be.at.most(2);
    rig.pool.query = query as typeof rig.pool.query;
  });

  it("a revoked, switched-off or expired key stops on every copy within a second", async () => {
    const { make, call } = await owner();
    const revoked = await make();
    await knownEverywhere(revoked.key);
    expect((await call("DELETE", `/api/user/keys/${revoked.id}`)).body.data.status).to.equal("revoked");
    await goneEverywhere(revoked.key);
    expect((await call("PATCH", `/api/user/keys/${revoked.id}`, { status: "active" })).body.error?.code).to.equal("invalid_state");

    const off = await make();
    await knownEverywhere(off.key);
    await call("PATCH", `/api/user/keys/${off.id}`, { status: "disabled" });
    await goneEverywhere(off.key);
    await call("PATCH", `/api/user/keys/${off.id}`, { status: "active" });
    await waitFor(() => other.identity.authenticateKey(off.key), { timeoutMs: 1_000 });

    const expiring = await make({ expires_at: inAnHour() });
    await knownEverywhere(expiring.key);
    await rig.pool.query("UPDATE api_keys SET expires_at = now() WHERE id = $1", [expiring.id]);
    await call("PATCH", `/api/user/keys/${expiring.id}`, { name: "announced" });
    await goneEverywhere(expiring.key);
  });

  it("suspending its user stops a key everywhere, until the suspension ends by itself", async () => {
    const { make, id } = await owner();
    const { key } = await make();
    await knownEverywhere(key);
    const until = new Date(Date.now() + 1_500).toISOString();
    await admin("PATCH", `/api/admin/users/${id}`, { status: "suspended", suspended_until: until });
    await waitFor(async () => (await other.identity.authenticateKey(key))?.status === "suspended", { timeoutMs: 1_000 });
    const refused = await rig.call("GET", "/api/user/me", undefined, undefined, { "x-api-key": key });
    expect([refused.status, refused.body.error]).to.deep.equal([403, { code: "account_suspended", details: { suspended_until: until } }]);
    await waitFor(async () => (await other.identity.authenticateKey(key))?.status === "active", { timeoutMs: 5_000 });
    await admin("PATCH", `/api/admin/users/${id}`, { status: "closed" });
    await waitFor(async () => (await other.identity.authenticateKey(key))?.status === "closed", { timeoutMs: 1_000 });
  });

  it("while changes cannot be heard nothing cached is trusted", async () => {
    const { make } = await owner();
    const { key, id } = await make();
    await knownEverywhere(key);
    await other.invalidation.stop();
    expect(await other.identity.authenticateKey(key)).to.not.equal(undefined);
    await rig.pool.query("UPDATE api_keys SET status = 'revoked' WHERE id = $1", [id]);
    expect(await other.identity.authenticateKey(key)).to.equal(undefined);
    await other.close();
    other = await identityRig(places);
  });

  it("rejects, rather than guesses, when Postgres is needed and away", async () => {
    const lone = await identityRig(places);
    const { make } = await owner();
    const { key } = await make();
    const query = lone.pool.query.bind(lone.pool);
    lone.pool.query = (() =>
      Promise.reject(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }))) as typeof lone.pool.query;
    const outcome = await lone.identity.authenticateKey(key).then(
      () => "answered",
      (error: { code: string }) => error.code,
    );
    expect(outcome).to.equal("ECONNREFUSED");
    const answer = await lone.call("GET", "/api/user/me", undefined, undefined, { "x-api-key": key });
    expect([answer.status, answer.body.error?.code]).to.deep.equal([503, "unavailable"]);
    lone.pool.query = query as typeof lone.pool.query;
    expect(await lone.identity.authenticateKey(key)).to.not.equal(undefined);
    await lone.close();
  });

  it("a rotated key goes on under a new secret; the old one lives for its grace", async () => {
    const { make, call } = await owner();
    const first = await make();
    await knownEverywhere(first.key);
    const rotated = await call("POST", `/api/user/keys/${first.id}/rotate`, {});
    expect(rotated.status).to.equal(201);
    expect(rotated.body.data.id).to.equal(first.id);
    const second = rotated.body.data.key;
    await waitFor(async () => (await other.identity.authenticateKey(second))?.keyId === first.id);
    await waitFor(async () => (await other.identity.authenticateKey(first.key))?.expiresAt, { timeoutMs: 1_000 });
    const grace = (await other.identity.authenticateKey(first.key))!.expiresAt!.getTime() - Date.now();
    expect(grace).to.be.within(86_390_000, 86_400_000);
    const third = (await call("POST", `/api/user/keys/${first.id}/rotate`, { grace_seconds: 0 })).body.data.key;
    await goneEverywhere(first.key);
    await goneEverywhere(second);
    await knownEverywhere(third);
    expect((await rig.pool.query("SELECT 1 FROM api_keys WHERE hash = $1", [hashKey(third)])).rowCount).to.equal(1);
  });

  it("changes what is given, clears with null, and leaves the rest", async () => {
    const { make, call } = await owner();
    const made = await make({ models: ["a"], allowed_ips: ["10.0.0.1"], limits: { max_parallel: 2 }, expires_at: inAnHour() });
    const path = `/api/user/keys/${made.id}`;
    expect((await call("PATCH", path, { name: "renamed" })).body.data).to.deep.include({
      name: "renamed",
      models: ["a"],
      limits: { max_parallel: 2 },
    });
    expect((await call("PATCH", path, { limits: { tokens_per_minute: 9 } })).body.data.limits).to.deep.equal({ tokens_per_minute: 9 });
    const cleared = await call("PATCH", path, { limits: null, models: null, allowed_ips: null, expires_at: null });
    expect(cleared.body.data).to.deep.include({ limits: {}, models: null, allowed_ips: null, expires_at: null });
    expect((await call("GET", path)).body.data).to.deep.equal(cleared.body.data);
  });

  it("somebody else's key does not exist", async () => {
    const { make } = await owner();
    const { call } = await owner();
    const { id } = await make();
    for (const [method, path, body] of [
      ["GET", ""],
      ["PATCH", "", { name: "x" }],
      ["DELETE", ""],
      ["POST", "/rotate", {}],
    ] as const) {
      expect((await call(method, `/api/user/keys/${id}${path}`, body)).status, method).to.equal(404);
    }
    expect((await call<{ total: number }>("GET", "/api/user/keys")).body.data.total).to.equal(0);
  });

  it("refuses bad settings by name", async () => {
    const { call } = await owner();
    const cases: [string, Record<string, unknown>][] = [
      ["expires_at", { expires_at: "2020-01-01T00:00:00Z" }],
      ["expires_at", { expires_at: "tomorrow" }],
      ["limits.max_parallel", { limits: { max_parallel: 0 } }],
      ["limits.requests_per_minute", { limits: { requests_per_minute: 1.5 } }],
      ["limits.spend_total", { limits: { spend_total: "-1" } }],
      ["limits.spend_daily", { limits: { spend_daily: 5 } }],
      ["limits.surprise", { limits: { surprise: 1 } }],
      ["allowed_ips.0", { allowed_ips: ["10.0.0.0/33"] }],
      ["allowed_ips.1", { allowed_ips: ["10.0.0.1", "example.com"] }],
      ["models", { models: [] }],
      ["models.0", { models: ["a\r\nb"] }],
      ["name", { name: "" }],
      ["name", { name: "x".repeat(101) }],
    ];
    for (const [field, bad] of cases) {
      const answer = await call("POST", "/api/user/keys", { name: "test", ...bad });
      expect([answer.status, answer.body.message.split(":")[0]], JSON.stringify(bad)).to.deep.equal([400, field]);
    }
  });
});
