import { expect } from "chai";
import jwt from "jsonwebtoken";
import { unique } from "../../support/people.ts";
import { signInFailures } from "../../../src/identity/standing.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { codeIn, identityRig, member, PASSWORD, type Rig, type Tokens } from "./harness.ts";

describe("signing in", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await identityRig(places, { settings: { CODE_RESEND_AFTER: 0 } });
  });
  after(() => rig.close());

  const login = (body: unknown, path = "/api/auth/login", headers?: Record<string, string>) =>
    rig.call<Tokens>("POST", path, body, undefined, headers);
  const me = (token: string) => rig.call<{ id: string }>("GET", "/api/user/me", undefined, token);
  const refresh = (token: string) => rig.call<Tokens>("POST", "/api/auth/refresh", { refresh_token: token });

  it("works with e-mail, username or phone, under every field name and path, and answers user and tokens", async () => {
    const { email, username, id } = await member(rig, { username: unique("Grace").slice(0, 20), phone: "+8613800138000" });
    const bodies = [
      { identifier: email },
      { identifier: username.toUpperCase() },
      { identifier: "+86 138 0013 8000" },
      { username: email.toUpperCase() },
      { email },
    ];
    for (const name of bodies) {
      for (const path of ["/api/auth/login", "/api/user/login", "/auth/login"]) {
        const answer = await login({ ...name, password: PASSWORD }, path);
        expect(answer.status, JSON.stringify({ name, path, body: answer.body })).to.equal(200);
        const { user, access_token, token, refresh_token, token_type, expires_in } = answer.body.data;
        expect(user).to.include({ id, email, username, status: "active" });
        expect(user.roles).to.deep.equal(["user"]);
        expect({ token, token_type, expires_in }).to.deep.equal({ token: access_token, token_type: "Bearer", expires_in: 900 });
        expect(refresh_token).to.be.a("string");
        expect((await me(access_token)).body.data.id).to.equal(id);
      }
    }
  });

  it("answers a wrong password and an unknown name alike", async () => {
    const { email } = await member(rig);
    const wrong = await login({ email, password: "not the password" });
    const unknown = await login({ email: `${unique("nobody")}@example.com`, password: "not the password" });
    expect([wrong.status, unknown.status]).to.deep.equal([401, 401]);
    expect(wrong.body.error).to.deep.equal(unknown.body.error);
    expect(wrong.body.message).to.equal(unknown.body.message);
  });

  it("locks an account after wrong passwords with a growing wait, on every copy, and forgets after the right one", async () => {
    const { email, id } = await member(rig);
    for (let i = 0; i < 5; i += 1) expect((await login({ email, password: `wrong ${i}` })).status).to.equal(401);
    const locked = await login({ email, password: PASSWORD });
    expect(locked.status).to.equal(429);
    expect(locked.body.error?.code).to.equal("too_many_attempts");
    expect(Number(locked.headers.get("retry-after"))).to.be.within(1, 2);
    await rig.pool.query("UPDATE login_failures SET locked_until = now() - interval '1 s' WHERE subject = $1", [`account:${id}`]);
    await login({ email, password: "wrong again" });
    expect(Number((await login({ email, password: PASSWORD })).headers.get("retry-after"))).to.equal(2);
    await rig.pool.query("UPDATE login_failures SET locked_until = now() - interval '1 s' WHERE subject = $1", [`account:${id}`]);
    expect((await login({ email, password: PASSWORD })).status).to.equal(200);
    expect((await rig.pool.query("SELECT 1 FROM login_failures WHERE subject = $1", [`account:${id}`])).rowCount).to.equal(0);
  });

  it("wrong passwords from addresses the account was never signed in from lock it, and are not its owner's failures", async () => {
    const { email, id } = await member(rig);
    const from = (ip: string) => ({ "x-forwarded-for": ip });
    const failures = async () => (await signInFailures(rig.pool, [id])).get(id) ?? 0;
    expect((await login({ email, password: PASSWORD }, undefined, from("198.51.100.20"))).status).to.equal(200);
    for (let i = 0; i < 5; i += 1) await login({ email, password: `guess ${i}` }, undefined, from("198.51.100.21"));
    expect((await login({ email, password: PASSWORD }, undefined, from("198.51.100.21"))).status).to.equal(429);
    expect(await failures()).to.equal(0);
    for (let i = 0; i < 3; i += 1) {
      await rig.pool.query("UPDATE login_failures SET locked_until = NULL WHERE subject = $1", [`account:${id}`]);
      expect((await login({ email, password: "mistyped" }, undefined, from("198.51.100.20"))).status).to.equal(401);
    }
    expect(await failures()).to.equal(3);
    await rig.pool.query("UPDATE login_failures SET locked_until = NULL WHERE subject = $1", [`account:${id}`]);
    expect((await login({ email, password: PASSWORD }, undefined, from("198.51.100.20"))).status).to.equal(200);
    expect(await failures()).to.equal(0);
  });

  it("a burst of guesses at once gets no more tries than one after the other", async () => {
    const { email } = await member(rig);
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) => login({ email, password: `guess ${i}` }, undefined, { "x-forwarded-for": "198.51.100.7" })),
    );
    expect(answers.filter((answer) => answer.status === 401)).to.have.length(5);
    expect(answers.filter((answer) => answer.status === 429)).to.have.length(25);
  });

  it("an address that keeps failing on many accounts has to wait too, others need not", async () => {
    const { email } = await member(rig);
    const headers = { "x-forwarded-for": "198.51.100.8" };
    await rig.pool.query("INSERT INTO login_failures (subject, failures, last_failure_at) VALUES ('ip:198.51.100.8', 99, now())");
    expect((await login({ email: "x@example.com", password: "wrong" }, undefined, headers)).status).to.equal(401);
    expect((await login({ email, password: PASSWORD }, undefined, headers)).status).to.equal(429);
    expect((await login({ email, password: PASSWORD })).status).to.equal(200);
  });

  it("many honest sign-ins at once all succeed", async () => {
    const { email } = await member(rig);
    const answers = await Promise.all(Array.from({ length: 20 }, () => login({ email, password: PASSWORD })));
    expect(new Set(answers.map((answer) => answer.status))).to.deep.equal(new Set([200]));
  });

  it("works with a mailed code, once, and not with one for another purpose", async () => {
    const { email } = await member(rig);
    await rig.call("POST", "/api/auth/email-code", { email, purpose: "reset" });
    const reset = codeIn(await rig.mail(email, "email_code"));
    expect((await login({ email, code: reset })).status).to.equal(401);
    const before = rig.mails.length;
    await rig.call("POST", "/api/auth/email-code", { email, purpose: "login" });
    const code = codeIn(await rig.mail(email, "email_code", before));
    expect((await login({ email: email.toUpperCase(), code })).status).to.equal(200);
    expect((await login({ email, code })).status).to.equal(401);
    const stored = await rig.pool.query("SELECT * FROM email_codes");
    expect(JSON.stringify(stored.rows.map((row) => ({ ...row, id: "", created_at: "", expires_at: "" })))).to.not.contain(code);
  });

  it("a code dies with its fifth wrong try, and with time", async () => {
    const { email } = await member(rig);
    await rig.call("POST", "/api/auth/email-code", { email, purpose: "login" });
    const code = codeIn(await rig.mail(email, "email_code"));
    const wrong = code === "000000" ? "111111" : "000000";
    for (let i = 0; i < 5; i += 1) expect((await login({ email, code: wrong })).status).to.equal(401);
    await rig.pool.query("DELETE FROM login_failures");
    expect((await login({ email, code })).status).to.equal(401);
    const before = rig.mails.length;
    await rig.call("POST", "/api/auth/email-code", { email, purpose: "login" });
    const second = codeIn(await rig.mail(email, "email_code", before));
    rig.clock.aheadMs = 10 * 60_000 + 1;
    expect((await login({ email, code: second })).status).to.equal(401);
    rig.clock.aheadMs = 0;
  });

  it("answers a code request for an unknown address the same, and mails nothing", async () => {
    const { email } = await member(rig);
    const nobody = `${unique("nobody")}@example.com`;
    const answers = await Promise.all(
      [email, nobody].map((to) => rig.call("POST", "/api/auth/email-code", { email: to, purpose: "login" })),
    );
    expect(answers.map((answer) => [answer.status, answer.body.data])).to.deep.equal([
      [202, { expires_in: 600, resend_after: 0 }],
      [202, { expires_in: 600, resend_after: 0 }],
    ]);
    await rig.mail(email, "email_code");
    await rig.identity.idle();
    expect(rig.mails.filter((mail) => mail.to === nobody)).to.have.length(0);
  });

  it("refresh gives new tokens; the old refresh token ends the session when it comes back later", async () => {
    const { tokens } = await member(rig);
    const second = await refresh(tokens.refresh_token);
    expect(second.status).to.equal(200);
    expect(second.body.data.refresh_token).to.not.equal(tokens.refresh_token);
    rig.clock.aheadMs = 11_000;
    const reused = await refresh(tokens.refresh_token);
    expect([reused.status, reused.body.error?.code]).to.deep.equal([401, "invalid_refresh_token"]);
    expect((await refresh(second.body.data.refresh_token)).status).to.equal(401);
    expect((await me(second.body.data.access_token)).status).to.equal(401);
    rig.clock.aheadMs = 0;
  });

  it("two refreshes at the same instant: one wins, the other gets a conflict, the session lives", async () => {
    const { tokens } = await member(rig);
    const { sid } = jwt.decode(tokens.access_token) as { sid: string };
    // Nobody may go on until all have come, or the last would come after the first was done.
    const gate = await rig.pool.connect();
    await gate.query("BEGIN");
    await gate.query("SELECT FROM refresh_tokens WHERE session_id = $1 FOR UPDATE", [sid]);
    const asking = Promise.all(Array.from({ length: 8 }, () => refresh(tokens.refresh_token)));
    await waitFor(
      async () => {
        // Not by the gate itself: a transaction sees what others do as it was when it first looked.
        const { rows } = await rig.pool.query<{ waiting: bigint }>(
          `SELECT count(*) AS waiting FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM refresh_tokens WHERE hash%'`,
        );
        return rows[0]!.waiting === 8n;
      },
      { timeoutMs: 10_000, message: "all of them to have come" },
    );
    await gate.query("COMMIT");
    gate.release();
    const answers = await asking;
    expect(answers.map((answer) => answer.status).sort()).to.deep.equal([200, 409, 409, 409, 409, 409, 409, 409]);
    const winner = answers.find((answer) => answer.status === 200)!.body.data;
    expect((await me(winner.access_token)).status).to.equal(200);
    expect((await refresh(winner.refresh_token)).status).to.equal(200);
  });

  it("a refresh token ends with its time", async () => {
    const { tokens } = await member(rig);
    rig.clock.aheadMs = 30 * 86_400_000 + 1;
    expect((await refresh(tokens.refresh_token)).status).to.equal(401);
    rig.clock.aheadMs = 0;
  });

  it("sign-out stops the access token at once; signing out everywhere stops all", async () => {
    const { email, tokens } = await member(rig);
    const other = (await login({ email, password: PASSWORD })).body.data;
    const third = (await login({ email, password: PASSWORD })).body.data;
    for (const { access_token } of [tokens, other, third]) expect((await me(access_token)).status).to.equal(200);
    expect((await rig.call("POST", "/api/auth/logout", undefined, tokens.access_token)).status).to.equal(200);
    expect((await me(tokens.access_token)).status).to.equal(401);
    expect((await refresh(tokens.refresh_token)).status).to.equal(401);
    expect((await me(other.access_token)).status).to.equal(200);
    const all = await rig.call<{ ended: number }>("POST", "/api/auth/logout", { all: true }, other.access_token);
    expect(all.body.data.ended).to.equal(2);
    expect((await me(third.access_token)).status).to.equal(401);
  });

  it("lists sessions, ends one and all others, and nobody else's", async () => {
    const { email, tokens } = await member(rig);
    const stranger = await member(rig);
    for (let i = 0; i < 2; i += 1) await login({ email, password: PASSWORD });
    const sessions = (token: string) =>
      rig.call<{ items: { id: string; current: boolean; ip: string }[]; total: number }>("GET", "/api/auth/sessions", undefined, token);
    const { items, total } = (await sessions(tokens.access_token)).body.data;
    expect(total).to.equal(3);
    expect(items.filter((session) => session.current)).to.have.length(1);
    const other = items.find((session) => !session.current)!;
    expect((await rig.call("DELETE", `/api/auth/sessions/${other.id}`, undefined, stranger.tokens.access_token)).status).to.equal(404);
    expect((await rig.call("DELETE", `/api/auth/sessions/${other.id}`, undefined, tokens.access_token)).status).to.equal(200);
    expect((await rig.call<{ ended: number }>("DELETE", "/api/auth/sessions", undefined, tokens.access_token)).body.data.ended).to.equal(1);
    expect((await sessions(tokens.access_token)).body.data.total).to.equal(1);
  });

  it("refuses tokens that are expired, forged, of another algorithm, issuer or audience, and takes those of an older secret", async () => {
    const { tokens, id } = await member(rig);
    const { sid } = jwt.decode(tokens.access_token) as { sid: string };
    const good = { subject: id, issuer: "tollkeeper", audience: "tollkeeper-api", expiresIn: 60, keyid: "old" } as const;
    const old = "o".repeat(40);
    expect((await me(jwt.sign({ sid }, old, good))).status).to.equal(200);
    const bad = [
      jwt.sign({ sid }, old, { ...good, expiresIn: -1 }),
      jwt.sign({ sid }, old, { ...good, issuer: "other" }),
      jwt.sign({ sid }, old, { ...good, audience: "other" }),
      jwt.sign({ sid }, old, { ...good, keyid: "new" }),
      jwt.sign({ sid }, old, { ...good, keyid: "unknown" }),
      jwt.sign({ sid }, old, { ...good, algorithm: "HS512" }),
      jwt.sign({ sid }, "", { ...good, algorithm: "none" }),
      jwt.sign({ sid: "00000000-0000-4000-8000-000000000000" }, old, good),
      jwt.sign({ sid }, old, { ...good, subject: rig.admin.id }),
      jwt.sign({ sid: "not a uuid" }, old, good),
      jwt.sign({}, old, good),
      "rubbish",
    ];
    for (const token of bad) expect((await me(token)).status, token).to.equal(401);
    for (const token of [tokens.access_token, ...bad.slice(0, 1)]) {
      const outcome = await rig.identity.authenticateToken(token).then(
        (principal) => principal.userId,
        (error: { code: string }) => error.code,
      );
      expect(outcome).to.equal(token === tokens.access_token ? id : "unauthenticated");
    }
  });

  it("goes on while Temporal is away, when registration answers 503", async () => {
    const away = await identityRig(places, { temporalAddress: "127.0.0.1:1", settings: { CODE_RESEND_AFTER: 60_000 } });
    try {
      const { tokens } = await member(away);
      expect((await away.call("GET", "/api/user/me", undefined, tokens.access_token)).status).to.equal(200);
      const email = `${unique("ada")}@example.com`;
      for (const [path, body] of [
        ["/api/auth/email-code", { email, purpose: "register" }],
        ["/api/auth/register", { email, code: "123456" }],
        ["/api/user/register", { email, username: unique("ada").slice(0, 20), password: PASSWORD }],
        ["/api/user/resend-verification", { email }],
      ] as const) {
        const answer = await away.call("POST", path, body);
        expect([answer.status, answer.body.error?.code], path).to.deep.equal([503, "unavailable"]);
        expect(answer.headers.get("retry-after")).to.not.equal(null);
      }
    } finally {
      await away.close();
    }
  });
});
