import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { identityRig, member, type Rig } from "./harness.ts";

interface Token {
  id: string;
  token: string;
  prefix: string;
  status: string;
  budget: string;
  spent: string;
  held: string;
  end_user: string | null;
  models: string[] | null;
  limits: Record<string, unknown>;
  created_at: string;
  expires_at: string;
}

describe("end-user tokens", () => {
  const places = useStack();
  let rig: Rig;
  let other: Rig;
  before(async () => {
    rig = await identityRig(places);
    other = await identityRig(places);
  });
  after(async () => {
    await rig.close();
    await other.close();
  });

  /** Somebody with a key. */
  async function owner(settings: object = {}) {
    const somebody = await member(rig);
    const call = <T>(method: string, path: string, body?: unknown) => rig.call<T>(method, path, body, somebody.tokens.access_token);
    const made = await call<{ id: string; key: string }>("POST", "/api/user/keys", { name: "server", ...settings });
    const { id: keyId, key } = made.body.data;
    const byKey = <T>(method: string, path: string, body?: unknown) => rig.call<T>(method, path, body, undefined, { "x-api-key": key });
    const mint = async (body: object = {}): Promise<Token> => {
      const answer = await byKey<Token>("POST", "/api/keys/tokens", { budget: "2.5", ...body });
      expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
      return answer.body.data;
    };
    return { userId: somebody.id, call, keyId, key, byKey, mint };
  }
  const find = (token: string) => rig.identity.authenticateKey(token);
  async function knownEverywhere(token: string): Promise<void> {
    for (const copy of [rig, other]) expect(await copy.identity.authenticateKey(token)).to.not.equal(undefined);
  }
  const goneEverywhere = (token: string) =>
    waitFor(
      async () =>
        (await Promise.all([rig, other].map((copy) => copy.identity.authenticateKey(token)))).every((found) => found === undefined),
      { timeoutMs: 1_000, everyMs: 5 },
    );

  it("is made with a key, shown once, and gives the relay everything it needs", async () => {
    const ada = await owner({ limits: { spend_daily: "9" }, allowed_ips: ["10.0.0.0/8", "127.0.0.0/8"] });
    const before = Date.now();
    const made = await ada.mint({
      ttl_seconds: 600,
      requests_per_minute: 3,
      max_parallel: 1,
      end_user: "visitor 7",
      allowed_ips: ["10.0.0.0/8", "192.0.2.0/24"],
    });
    expect(made.token).to.match(/^sk-tk-eu-[0-9A-Za-z]{43}$/);
    expect(made).to.include({ status: "active", budget: "2.5", spent: "0", end_user: "visitor 7", prefix: made.token.slice(0, 15) });
    expect(Date.parse(made.expires_at)).to.be.within(before + 590_000, Date.now() + 610_000);
    const stored = await rig.pool.query("SELECT * FROM end_user_tokens WHERE id = $1", [made.id]);
    expect(JSON.stringify(stored.rows, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))).to.not.contain(
      made.token.slice(15),
    );

    const found = (await find(made.token))!;
    expect(found).to.include({ keyId: ada.keyId, tokenId: made.id });
    expect(found.principal).to.include({ userId: ada.userId });
    expect(found.limits.token).to.deep.equal({ requests_per_minute: 3, max_parallel: 1 });
    expect(found.limits.key).to.deep.equal({ spend_daily: "9" });
    expect(found.spend!.fixed).to.deep.equal([{ id: `token:${made.id}`, period: `to:${made.expires_at.slice(0, 10)}`, limit: 2_500_000n }]);
    expect(found.spend!.limits).to.deep.equal([{ id: `key:${ada.keyId}`, span: "daily", limit: 9_000_000n }]);
    // Addresses must be in both lists.
    const addresses = ["10.1.2.3", "127.0.0.1", "192.0.2.1"].map((ip) => found.ipList!.has(ip));
    expect(addresses).to.deep.equal([true, false, false]);
  });

  it("narrows its key's models, also when those change later", async () => {
    const ada = await owner({ models: ["Demo-Chat", "demo-fast"] });
    expect((await find((await ada.mint()).token))!.models).to.deep.equal(["Demo-Chat", "demo-fast"]);
    const one = await ada.mint({ models: ["demo-chat"] });
    expect([...(await find(one.token))!.modelSet!]).to.deep.equal(["demo-chat"]);
    await ada.call("PATCH", `/api/user/keys/${ada.keyId}`, { models: ["demo-fast"] });
    await waitFor(async () => (await find(one.token))!.modelSet!.size === 0, { timeoutMs: 1_000 });
    await ada.call("PATCH", `/api/user/keys/${ada.keyId}`, { models: null });
    await waitFor(async () => (await find(one.token))!.modelSet!.has("demo-chat"), { timeoutMs: 1_000 });
  });

  it("is revoked everywhere within a second, by its owner or by its key, once and for all", async () => {
    const ada = await owner();
    const [first, second, third] = [await ada.mint(), await ada.mint(), await ada.mint()];
    for (const { token } of [first, second, third]) await knownEverywhere(token);
    const revoke = (of: Token) => `/api/user/keys/${ada.keyId}/tokens/${of.id}`;
    expect((await ada.call<Token>("DELETE", revoke(first))).body.data.status).to.equal("revoked");
    await goneEverywhere(first.token);
    expect((await ada.byKey<Token>("DELETE", revoke(second))).body.data.status).to.equal("revoked");
    await goneEverywhere(second.token);
    expect((await ada.call("DELETE", revoke(first))).status).to.equal(200);
    expect(await find(third.token)).to.include({ tokenId: third.id });
  });

  it("dies with its key and ends when the key ends", async () => {
    const ada = await owner();
    const made = await ada.mint();
    await knownEverywhere(made.token);
    await ada.call("PATCH", `/api/user/keys/${ada.keyId}`, { status: "disabled" });
    await goneEverywhere(made.token);
    await ada.call("PATCH", `/api/user/keys/${ada.keyId}`, { status: "active" });
    await knownEverywhere(made.token);
    await ada.call("DELETE", `/api/user/keys/${ada.keyId}`);
    await goneEverywhere(made.token);

    const soon = new Date(Date.now() + 1_000);
    const grace = await owner({ expires_at: soon.toISOString() });
    const short = await grace.mint({ ttl_seconds: 86_400 });
    expect(short.expires_at).to.equal(soon.toISOString());
    await waitFor(async () => (await find(short.token)) === undefined, { timeoutMs: 3_000 });
    const { body } = await grace.call<{ items: Token[] }>("GET", `/api/user/keys/${grace.keyId}/tokens`);
    expect(body.data.items[0]).to.include({ status: "expired" });
  });

  it("goes on when its key gets a new secret, and stops when its user is suspended", async () => {
    const ada = await owner();
    const made = await ada.mint();
    await ada.call("POST", `/api/user/keys/${ada.keyId}/rotate`, { grace_seconds: 0 });
    await knownEverywhere(made.token);
    await rig.call("PATCH", `/api/admin/users/${ada.userId}`, { status: "suspended" }, rig.admin.token);
    await waitFor(async () => (await other.identity.authenticateKey(made.token))?.status === "suspended", { timeoutMs: 1_000 });
  });

  it("opens nothing but calls: not the account, and no tokens of its own", async () => {
    const { mint } = await owner();
    const { token } = await mint();
    for (const headers of [{ authorization: `Bearer ${token}` }, { "x-api-key": token }] as Record<string, string>[]) {
      for (const [method, path, body] of [
        ["GET", "/api/user/me", undefined],
        ["GET", "/api/user/balance", undefined],
        ["POST", "/api/keys/tokens", { budget: "1" }],
      ] as const) {
        const answer = await rig.call(method, path, body, undefined, headers);
        if (answer.status !== 404) expect(answer.status, path).to.equal(403);
      }
    }
  });

  it("is not made by a person's own sign-in, nor looked after by another key or another person", async () => {
    const [ada, grace] = [await owner(), await owner()];
    expect((await ada.call("POST", "/api/keys/tokens", { budget: "1" })).status).to.equal(403);
    const made = await ada.mint();
    const path = `/api/user/keys/${ada.keyId}/tokens`;
    expect((await grace.call("GET", path)).status).to.equal(404);
    expect((await grace.byKey("DELETE", `${path}/${made.id}`)).status).to.equal(404);
    expect((await grace.call("DELETE", `/api/user/keys/${grace.keyId}/tokens/${made.id}`)).status).to.equal(404);
    await knownEverywhere(made.token);
  });

  it("is listed newest first, in pages, with what it spent", async () => {
    const ada = await owner();
    const tokens = [];
    for (let i = 0; i < 3; i++) tokens.push(await ada.mint({ end_user: `visitor ${i}` }));
    const found = (await find(tokens[1]!.token))!;
    await rig.ledger.credit(rig.pool, {
      id: `test:${ada.userId}`,
      walletId: found.principal.walletId,
      amount: 10_000_000n,
      from: "adjustments",
      source: "admin",
      type: "ADMIN",
      description: "test",
    });
    const hold = { walletId: found.principal.walletId, budgets: found.spend!.fixed, owner: "test", ttlMs: 60_000 };
    await rig.ledger.authorize({ ...hold, id: tokens[1]!.id, amount: 400_000n });
    expect(await rig.ledger.authorize({ ...hold, id: tokens[2]!.id, amount: 2_200_000n })).to.include({ reason: "spend_limit_on_hold" });
    const page = async (query: string) =>
      (await ada.call<{ items: Token[]; total: number }>("GET", `/api/user/keys/${ada.keyId}/tokens${query}`)).body.data;
    const first = await page("?page_size=2");
    expect(first.total).to.equal(3);
    expect(first.items.map((one) => [one.end_user, one.held])).to.deep.equal([
      ["visitor 2", "0"],
      ["visitor 1", "0.4"],
    ]);
    expect((await page("?page_size=2&page=2")).items.map((one) => one.end_user)).to.deep.equal(["visitor 0"]);
    expect(JSON.stringify(first)).to.not.contain(tokens[2]!.token);
    await rig.ledger.release([tokens[1]!.id]);
  });

  it("refuses bad settings by name", async () => {
    const ada = await owner({ models: ["demo-chat"] });
    for (const [field, body] of [
      ["budget", {}],
      ["budget", { budget: "0" }],
      ["budget", { budget: 5 }],
      ["ttl_seconds", { budget: "1", ttl_seconds: 59 }],
      ["ttl_seconds", { budget: "1", ttl_seconds: 86_401 }],
      ["models", { budget: "1", models: ["gpt-9"] }],
      ["allowed_ips.0", { budget: "1", allowed_ips: ["somewhere"] }],
      ["end_user", { budget: "1", end_user: "x".repeat(129) }],
      ["requests_per_minute", { budget: "1", requests_per_minute: 0 }],
    ] as const) {
      const answer = await ada.byKey("POST", "/api/keys/tokens", body);
      expect(answer.status, field).to.equal(400);
      expect(JSON.stringify(answer.body.error), field).to.contain(`"${field}"`);
    }
  });

  it("is forgotten long after its end", async () => {
    const ada = await owner();
    const [old, young] = [await ada.mint(), await ada.mint()];
    await rig.pool.query("UPDATE end_user_tokens SET expires_at = now() - interval '31 days' WHERE id = $1", [old.id]);
    expect(await rig.identity.forgetTokens()).to.equal(1);
    const { body } = await ada.call<{ items: Token[] }>("GET", `/api/user/keys/${ada.keyId}/tokens`);
    expect(body.data.items.map((one) => one.id)).to.deep.equal([young.id]);
  });
});

describe("the last use of a key", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await identityRig(places);
  });
  after(() => rig.close());

  it("is shown with the address it came from, and written at most once a minute", async () => {
    const ada = await member(rig);
    const mine = <T>(method: string, path: string, body?: unknown) => rig.call<T>(method, path, body, ada.tokens.access_token);
    type Key = { id: string; key: string; last_used_at: string | null; last_used_from: string | null };
    const made = (await mine<Key>("POST", "/api/user/keys", { name: "used" })).body.data;
    expect(made).to.include({ last_used_at: null, last_used_from: null });
    const use = (ip: string) => rig.call("GET", "/api/user/me", undefined, undefined, { "x-api-key": made.key, "x-forwarded-for": ip });
    const shown = async () => (await mine<Key>("GET", `/api/user/keys/${made.id}`)).body.data;
    const before = Date.now();
    await use("203.0.113.7");
    await rig.identity.idle();
    const first = await shown();
    expect(first.last_used_from).to.equal("203.0.113.7");
    expect(Date.parse(first.last_used_at!)).to.be.within(before, Date.now());
    await use("203.0.113.8");
    await rig.identity.idle();
    expect(await shown()).to.deep.equal(first);
  });
});
