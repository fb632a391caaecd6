import { expect } from "chai";
import { unique } from "../../support/people.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { identityRig, member, PASSWORD, type Rig, type Tokens } from "./harness.ts";

interface User {
  id: string;
  email: string;
  status: string;
  suspended_until: string | null;
  roles: string[];
  tier: string;
  limits: Record<string, unknown>;
}

describe("operators and users", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await identityRig(places);
  });
  after(() => rig.close());

  const admin = <T = User>(method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    rig.call<T>(method, path, body, rig.admin.token, headers);
  const patch = (id: string, body: unknown, token = rig.admin.token) => rig.call<User>("PATCH", `/api/admin/users/${id}`, body, token);
  const find = async (query: string) => (await admin<{ items: User[]; total: number }>("GET", `/api/admin/users?${query}`)).body.data;
  const audited = async (target: string) =>
    (
      await rig.pool.query<{ action: string; details: Record<string, unknown>; actor_id: string }>(
        "SELECT action, details, actor_id FROM audit_log WHERE target = $1 ORDER BY id",
        [`user:${target}`],
      )
    ).rows;

  it("finds users by part of e-mail, username, phone and id, by status, role and tier", async () => {
    const mark = unique("needle");
    const one = await member(rig, { username: `${mark.slice(0, 16)}_1`, phone: "+447400123456" });
    await member(rig);
    for (const query of [
      `search=${mark.slice(0, 14).toUpperCase()}`,
      `search=${one.email.slice(0, 14)}`,
      "search=%2B447400",
      `search=${one.id}`,
      `search=${one.id.slice(0, 26)}`,
    ]) {
      expect(
        (await find(query)).items.map((user) => user.id),
        query,
      ).to.include(one.id);
    }
    expect((await find(`search=${encodeURIComponent("%")}`)).total).to.equal(0);
    expect((await find(`search=${encodeURIComponent("' OR 1=1 --")}`)).total).to.equal(0);
    await patch(one.id, { tier: "pro" });
    expect((await find("tier=pro&role=user&status=active")).items.map((user) => user.id)).to.include(one.id);
    expect((await find("role=admin")).items.map((user) => user.id)).to.deep.equal([rig.admin.id]);
    const page = await find("page=2&page_size=1");
    expect(page).to.include({ page: 2, page_size: 1 });
    expect(page.items).to.have.length(1);
  });

  it("makes verified users, once per name, and refuses bad ones by name", async () => {
    const { email, username } = await member(rig);
    for (const [field, body] of [
      ["email", { email: email.toUpperCase() }],
      ["username", { email: "new@example.com", username: username.toUpperCase() }],
    ] as const) {
      const answer = await admin("POST", "/api/admin/users", body);
      expect([answer.status, answer.body.message]).to.deep.equal([409, `${field}: is taken`]);
    }
    for (const [field, bad] of [
      ["tier", { tier: "gold" }],
      ["roles", { roles: ["user", "user"] }],
      ["roles.0", { roles: ["king"] }],
      ["password", { password: "abc" }],
      ["email", { email: "x" }],
    ] as const) {
      const answer = await admin("POST", "/api/admin/users", { email: "new@example.com", ...bad });
      expect([answer.status, answer.body.message.split(":")[0]]).to.deep.equal([400, field]);
    }
  });

  it("limits replace the earlier ones and override the tier's; null clears", async () => {
    const { id, tokens } = await member(rig);
    const { key } = (await rig.call<{ key: string }>("POST", "/api/user/keys", { name: "k" }, tokens.access_token)).body.data;
    const limits = async () => (await rig.identity.authenticateKey(key))?.limits.user;
    expect(await limits()).to.include({ requests_per_minute: 100, max_parallel: 256 });
    await patch(id, { limits: { max_parallel: 3, spend_daily: "10" } });
    expect((await limits())?.max_parallel).to.equal(3);
    expect((await patch(id, { tier: "pro", limits: { tokens_per_minute: 5 } })).body.data.limits).to.deep.equal({ tokens_per_minute: 5 });
    expect((await limits())?.max_parallel).to.equal(1024);
    expect((await patch(id, { limits: null })).body.data.limits).to.deep.equal({});
  });

  it("a suspended user is out at once, by every way in, and back when it ends", async () => {
    const { id, email, tokens } = await member(rig);
    const me = () => rig.call("GET", "/api/user/me", undefined, tokens.access_token);
    expect((await me()).status).to.equal(200);
    const until = new Date(Date.now() + 2_000).toISOString();
    const suspended = await patch(id, { status: "suspended", suspended_until: until });
    expect(suspended.body.data).to.include({ status: "suspended", suspended_until: until });
    expect((await me()).status).to.equal(403);
    const login = await rig.call<Tokens>("POST", "/api/auth/login", { email, password: PASSWORD });
    expect([login.status, login.body.error]).to.deep.equal([403, { code: "account_suspended", details: { suspended_until: until } }]);
    expect((await rig.call("POST", "/api/auth/refresh", { refresh_token: tokens.refresh_token })).status).to.equal(403);
    expect((await rig.call("POST", "/api/auth/login", { email, password: "wrong" })).status).to.equal(401);
    await waitFor(async () => (await me()).status === 200, { timeoutMs: 5_000 });
    expect((await admin("GET", `/api/admin/users/${id}`)).body.data).to.include({ status: "active", suspended_until: null });
    expect((await find(`status=suspended&search=${email}`)).total).to.equal(0);
    await patch(id, { status: "suspended" });
    expect((await patch(id, { tier: "pro" })).body.data.status, "without an end it lasts").to.equal("suspended");
    expect((await patch(id, { status: "active" })).body.data).to.include({ status: "active", suspended_until: null });
    expect((await patch(id, { suspended_until: until })).status).to.equal(400);
    await patch(id, { status: "closed" });
    expect((await rig.call("POST", "/api/auth/login", { email, password: PASSWORD })).status).to.equal(401);
  });

  it("only admins give roles or touch admins; nobody suspends himself; the last admin stays", async () => {
    const operator = await member(rig, { roles: ["user", "operator"] });
    const somebody = await member(rig);
    const token = operator.tokens.access_token;
    expect((await patch(somebody.id, { tier: "standard" }, token)).status).to.equal(200);
    expect((await patch(somebody.id, { roles: ["admin"] }, token)).status).to.equal(403);
    expect((await patch(rig.admin.id, { status: "suspended" }, token)).status).to.equal(403);
    expect((await rig.call("POST", "/api/admin/users", { email: "evil@example.com", roles: ["admin"] }, token)).status).to.equal(403);
    expect((await patch(operator.id, { status: "suspended" }, token)).status).to.equal(409);
    expect((await patch(rig.admin.id, { status: "closed" })).status).to.equal(409);
    expect((await patch(rig.admin.id, { roles: ["user"] })).status).to.equal(409);
    expect((await rig.call("GET", "/api/admin/users", undefined, somebody.tokens.access_token)).status).to.equal(403);
    const second = await member(rig, { roles: ["admin"] });
    const both = await Promise.all([
      patch(rig.admin.id, { roles: ["user"] }, second.tokens.access_token),
      patch(second.id, { roles: ["user"] }),
    ]);
    expect(
      both
        .map((answer) => answer.status)
        .sort()
        .slice(0, 1),
      "one of the two at most",
    ).to.deep.equal([200]);
    const { rows } = await rig.pool.query<{ id: string }>("SELECT id FROM users WHERE roles @> '{admin}'");
    expect(rows).to.have.length(1);
    await rig.pool.query("UPDATE users SET roles = '{user,admin}' WHERE id = $1", [rig.admin.id]);
    await rig.pool.query("UPDATE users SET roles = '{user}' WHERE id = $1", [second.id]);
    await rig.pool.query("SELECT pg_notify('tollkeeper_changed', 'user:*')");
    await waitFor(async () => (await find("role=admin")).total === 1);
  });

  it("credit is given and taken exactly, once per Idempotency-Key, and never below zero", async () => {
    const { id } = await member(rig);
    const credit = (body: unknown, key?: string) =>
      admin<{ transfer_id: string; balance: string }>(
        "POST",
        `/api/admin/users/${id}/credits`,
        body,
        key ? { "idempotency-key": key } : {},
      );
    expect((await credit({ amount: "100", reason: "welcome" })).body.data.balance).to.equal("100");
    const [first, again] = [
      await credit({ amount: "0.000001", reason: "twice" }, "k1"),
      await credit({ amount: "0.000001", reason: "twice" }, "k1"),
    ];
    expect([first.status, again.status]).to.deep.equal([201, 201]);
    expect(again.body.data).to.deep.equal(first.body.data);
    expect((await credit({ amount: "5", reason: "twice" }, "k1")).body.error?.code).to.equal("idempotency_mismatch");
    await rig.pool.query("DELETE FROM idempotency_keys");
    expect(
      (await credit({ amount: "0.000001", reason: "twice" }, "k1")).body.data.transfer_id,
      "also when the answer is forgotten",
    ).to.equal(first.body.data.transfer_id);
    expect((await credit({ amount: "-30.5", reason: "correction" })).body.data.balance).to.equal("69.500001");
    const refused = await credit({ amount: "-70", reason: "too much" });
    expect([refused.status, refused.body.error]).to.deep.equal([
      402,
      { code: "insufficient_balance", details: { available: "69.500001", shortfall: "0.499999" } },
    ]);
    for (const [field, bad] of [
      ["amount", { amount: "0" }],
      ["amount", { amount: "-0.0" }],
      ["amount", { amount: 5 }],
      ["amount", { amount: "1e3" }],
      ["amount", { amount: "1000000001" }],
      ["reason", { reason: "" }],
    ] as const) {
      const answer = await credit({ amount: "1", reason: "x", ...bad });
      expect([answer.status, answer.body.message.split(":")[0]], JSON.stringify(bad)).to.deep.equal([400, field]);
    }
    expect(
      (await admin("POST", "/api/admin/users/00000000-0000-4000-8000-000000000000/credits", { amount: "1", reason: "x" })).status,
    ).to.equal(404);
    expect((await audited(id)).map((row) => row.action)).to.deep.equal(["user.create", "user.credit", "user.credit", "user.debit"]);
  });

  it("audits what was done and by whom, without secrets", async () => {
    const { id } = await member(rig);
    await patch(id, { tier: "pro", limits: { max_parallel: 1 } });
    const rows = await audited(id);
    expect(rows.map((row) => row.action)).to.deep.equal(["user.create", "user.update"]);
    expect(rows[1]).to.deep.include({ actor_id: rig.admin.id, details: { tier: "pro", limits: { max_parallel: 1 } } });
    expect(JSON.stringify(rows)).to.not.contain(PASSWORD);
  });
});
