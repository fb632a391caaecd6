import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { registrationWorkflowId } from "../../../src/identity/registration.ts";
import { unique } from "../../support/people.ts";
import { useStack } from "../../support/stack.ts";
import { codeIn, identityRig, member, PASSWORD, type Rig, type Tokens } from "./harness.ts";

const address = () => `${unique("Ada")}@Example.com`;
const name = () => unique("ada").slice(0, 20);
const other = (code: string) => (code === "000000" ? "111111" : "000000");

describe("registration with a mailed code", () => {
  const places = useStack({ namespace: true });
  let rig: Rig;
  before(async () => {
    rig = await identityRig(places, { worker: true, settings: { CODE_RESEND_AFTER: 60_000, WELCOME_CREDITS: 25n * MICRO } });
  });
  after(() => rig.close());

  const ask = (email: string, purpose = "register") => rig.call("POST", "/api/auth/email-code", { email, purpose });
  const register = (body: Record<string, unknown>) => rig.call<Tokens>("POST", "/api/auth/register", body);
  const login = (identifier: string, password = PASSWORD) => rig.call<Tokens>("POST", "/api/auth/login", { identifier, password });
  const workflow = (email: string) => rig.temporal.client.workflow.getHandle(registrationWorkflowId(email));
  /** Lets the next mail to this address go out without waiting for the pause. */
  const pauseOver = (email: string) =>
    rig.pool.query("UPDATE email_sends SET sent_at = sent_at - interval '2 minutes' WHERE email = $1", [email.toLowerCase()]);

  it("makes a verified user with tokens and a welcome grant, and ends its workflow", async () => {
    const email = address();
    const asked = await ask(email);
    expect([asked.status, asked.body.data]).to.deep.equal([202, { expires_in: 600, resend_after: 60 }]);
    const code = codeIn(await rig.mail(email.toLowerCase(), "email_code"));
    const username = name();
    const answer = await register({ email, code, username, password: PASSWORD, phone: "+86 139 1234 5678" });
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
    const { user, access_token } = answer.body.data;
    expect(user).to.include({ email: email.toLowerCase(), username, status: "active", email_verified: true, phone: "+8613912345678" });
    expect((await rig.call("GET", "/api/user/me", undefined, access_token)).status).to.equal(200);
    const { rows } = await rig.pool.query<{ wallet_id: bigint }>("SELECT wallet_id FROM users WHERE id = $1", [user.id]);
    const balance = await rig.ledger.balance(rows[0]!.wallet_id);
    expect([balance.total, balance.sources[0]?.source]).to.deep.equal([25n * MICRO, "bonus"]);
    expect(await workflow(email).result()).to.include({ state: "activated", userId: user.id });
    expect((await workflow(email).describe()).searchAttributes["UserId"]).to.deep.equal([user.id]);
    expect((await login(username)).status).to.equal(200);
    expect((await register({ email, code, password: PASSWORD })).status, "the code is used up").to.equal(400);
  });

  it("leaves no code and no password in the database or in the workflow's history", async () => {
    const email = address();
    const secret = "a password that nobody else has 7";
    await ask(email);
    const code = codeIn(await rig.mail(email.toLowerCase(), "email_code"));
    await register({ email, code: other(code), password: secret });
    await register({ email, code, password: secret });
    const history = await workflow(email).fetchHistory();
    const payloads = JSON.stringify(history).replace(/"data":"([^"]*)"/g, (_all, data: string) =>
      Buffer.from(data, "base64").toString("utf8"),
    );
    expect(payloads).to.contain("codeHash");
    for (const hidden of [`"${code}"`, `"${other(code)}"`, secret, "argon2"]) expect(payloads).to.not.contain(hidden);
    const { rows } = await rig.pool.query<{ password_hash: string }>("SELECT password_hash FROM users WHERE email = $1", [
      email.toLowerCase(),
    ]);
    expect(rows[0]!.password_hash).to.match(/^\$argon2id\$/);
    expect(
      (await rig.pool.query("SELECT 1 FROM registrations WHERE password_hash IS NOT NULL AND email = $1", [email.toLowerCase()])).rowCount,
    ).to.equal(0);
  });

  it("needs neither password nor username: a name is derived, one that is free", async () => {
    const email = `${name()}@example.com`;
    await member(rig, { username: email.split("@")[0] });
    await ask(email);
    const answer = await register({ email, code: codeIn(await rig.mail(email, "email_code")) });
    expect(answer.status).to.equal(201);
    expect(answer.body.data.user.username).to.match(new RegExp(`^${email.split("@")[0]}-`));
    expect((await login(email, PASSWORD)).status).to.equal(401);
  });

  it("refuses a second mail within the pause, for known and unknown addresses alike", async () => {
    const known = (await member(rig)).email;
    for (const email of [known, address()]) {
      expect((await ask(email)).status).to.equal(202);
      const again = await ask(email);
      expect([again.status, again.body.error?.code]).to.deep.equal([429, "rate_limited"]);
      expect(Number(again.headers.get("retry-after"))).to.be.within(55, 60);
    }
  });

  it("keeps to the daily cap of an address", async () => {
    const email = address();
    await rig.pool.query(
      "INSERT INTO email_sends SELECT gen_random_uuid(), $1, 'code:register', now() - interval '2 hours' FROM generate_series(1, 20)",
      [email.toLowerCase()],
    );
    const answer = await ask(email);
    expect(answer.status).to.equal(429);
    expect(Number(answer.headers.get("retry-after"))).to.be.within(21 * 3_600, 22 * 3_600);
  });

  it("after five wrong tries the code is dead; a new mail brings a new one", async () => {
    const email = address();
    await ask(email);
    const code = codeIn(await rig.mail(email.toLowerCase(), "email_code"));
    for (let i = 0; i < 5; i += 1) {
      const answer = await register({ email, code: other(code), password: PASSWORD });
      expect([answer.status, answer.body.error?.code]).to.deep.equal([400, "invalid_code"]);
    }
    expect((await register({ email, code, password: PASSWORD })).body.error?.code).to.equal("invalid_code");
    await pauseOver(email);
    const before = rig.mails.length;
    // The workflow keeps half of the pause itself.
    await workflow(email).terminate("so that the test need not wait");
    await ask(email);
    const second = codeIn(await rig.mail(email.toLowerCase(), "email_code", before));
    expect((await register({ email, code: second, password: PASSWORD })).status).to.equal(201);
  });

  it("guesses at the same moment get no more tries, and the right code makes one account", async () => {
    const email = address();
    await ask(email);
    const code = codeIn(await rig.mail(email.toLowerCase(), "email_code"));
    const right = await Promise.all(Array.from({ length: 4 }, () => register({ email, code })));
    expect(right.map((answer) => answer.status).sort()).to.deep.equal([201, 400, 400, 400]);
    expect((await rig.pool.query("SELECT 1 FROM users WHERE email = $1", [email.toLowerCase()])).rowCount).to.equal(1);
  });

  it("a name that is taken costs no code", async () => {
    const taken = (await member(rig)).username;
    const email = address();
    await ask(email);
    const code = codeIn(await rig.mail(email.toLowerCase(), "email_code"));
    const refused = await register({ email, code, username: taken.toUpperCase() });
    expect([refused.status, refused.body.error?.code]).to.deep.equal([409, "conflict"]);
    expect(refused.body.message).to.contain("username");
    expect((await register({ email, code, username: name() })).status).to.equal(201);
  });

  it("two people who take the same name at the same moment: one gets it, the other keeps his code", async () => {
    const emails = [address(), address()];
    const codes: string[] = [];
    for (const email of emails) {
      await ask(email);
      codes.push(codeIn(await rig.mail(email.toLowerCase(), "email_code")));
    }
    const username = name();
    const answers = await Promise.all(emails.map((email, i) => register({ email, code: codes[i], username })));
    expect(answers.map((answer) => answer.status).sort()).to.deep.equal([201, 409]);
    const loser = answers.findIndex((answer) => answer.status === 409);
    expect((await register({ email: emails[loser], code: codes[loser], username: name() })).status).to.equal(201);
  });

  it("tells nobody that an address is known: same answers, another mail", async () => {
    const { email, id } = await member(rig);
    const asked = await ask(email);
    expect([asked.status, asked.body.data]).to.deep.equal([202, { expires_in: 600, resend_after: 60 }]);
    await rig.mail(email, "already_registered");
    for (let i = 0; i < 6; i += 1) {
      const answer = await register({ email, code: "123456", password: "another password 55" });
      expect([answer.status, answer.body.error?.code]).to.deep.equal([400, "invalid_code"]);
    }
    expect(rig.mails.filter((mail) => mail.to === email && mail.template === "email_code")).to.have.length(0);
    expect((await login(email)).body.data.user.id).to.equal(id);
  });

  it("weak passwords and bad names and numbers are refused by name", async () => {
    const email = address();
    const cases: [string, Record<string, unknown>][] = [
      ["password", { password: "abc123" }],
      ["password", { password: email }],
      ["password", { password: "aaaaaaaaaaaa" }],
      ["username", { username: "ab" }],
      ["username", { username: "a@b.c" }],
      ["username", { username: "13800138000" }],
      ["username", { username: "ada lovelace" }],
      ["phone", { phone: "13800138000" }],
      ["phone", { phone: "+1234" }],
      ["code", { code: "12345" }],
      ["email", { email: "nobody" }],
    ];
    for (const [field, bad] of cases) {
      const answer = await register({ email, code: "123456", ...bad });
      expect([answer.status, answer.body.error?.code], JSON.stringify(bad)).to.deep.equal([400, "validation_failed"]);
      expect(answer.body.message).to.contain(field);
    }
  });
});
