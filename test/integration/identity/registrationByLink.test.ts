import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { registrationWorkflowId } from "../../../src/identity/registration.ts";
import { unique } from "../../support/people.ts";
import { useStack } from "../../support/stack.ts";
import { codeIn, identityRig, member, PASSWORD, tokenIn, type Rig, type Tokens } from "./harness.ts";

const address = () => `${unique("Ada")}@Example.com`;
const name = () => unique("ada").slice(0, 20);

describe("registration with a mailed link", () => {
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

  const signUp = (body: Record<string, unknown>) => rig.call<{ id: string; email_verified: boolean }>("POST", "/api/user/register", body);
  const verify = (token: string, headers?: Record<string, string>) =>
    rig.call("GET", `/api/user/verify-email?token=${token}`, undefined, undefined, headers);

  it("the user can sign in at once, and use more than that after following the link once", async () => {
    const [email, username] = [address().toLowerCase(), name()];
    const made = await signUp({ username, email, password: PASSWORD });
    expect([made.status, made.body.data.email_verified]).to.deep.equal([201, false]);
    const token = (await login(username)).body.data.access_token;
    const key = () => rig.call("POST", "/api/user/keys", { name: "first" }, token);
    expect((await key()).body.error?.code).to.equal("email_not_verified");
    const link = tokenIn(await rig.mail(email, "verify_link"));
    expect(link).to.match(/^[0-9a-f]{64}$/);
    expect(JSON.stringify((await rig.pool.query("SELECT * FROM registrations")).rows)).to.not.contain(link);
    const verified = await verify(link);
    expect(verified.status, JSON.stringify(verified.body)).to.equal(200);
    expect((await key()).status).to.equal(201);
    const again = await verify(link);
    expect([again.status, again.body.error?.code]).to.deep.equal([400, "invalid_token"]);
    expect(await workflow(email).result()).to.include({ state: "activated", userId: made.body.data.id });
    const { rows } = await rig.pool.query<{ wallet_id: bigint }>("SELECT wallet_id FROM users WHERE id = $1", [made.body.data.id]);
    expect((await rig.ledger.balance(rows[0]!.wallet_id)).total).to.equal(25n * MICRO);
  });

  it("browsers get a page, scanners that only look do not use it up", async () => {
    const email = address().toLowerCase();
    await signUp({ username: name(), email, password: PASSWORD });
    const link = tokenIn(await rig.mail(email, "verify_link"));
    const head = await fetch(`${rig.api}/api/user/verify-email?token=${link}`, { method: "HEAD" });
    expect(head.status).to.equal(200);
    const page = await fetch(`${rig.api}/api/user/verify-email?token=${link}`, { headers: { accept: "text/html,*/*" } });
    expect([page.status, page.headers.get("content-type")]).to.deep.equal([200, "text/html; charset=utf-8"]);
    expect(await page.text()).to.contain("verified");
    const used = await fetch(`${rig.api}/api/user/verify-email?token=${link}`, { headers: { accept: "text/html,*/*" } });
    expect([used.status, used.headers.get("content-type")]).to.deep.equal([400, "text/html; charset=utf-8"]);
  });

  it("refuses tokens that are malformed, unknown or too old", async () => {
    const email = address().toLowerCase();
    await signUp({ username: name(), email, password: PASSWORD });
    const link = tokenIn(await rig.mail(email, "verify_link"));
    expect((await verify("xyz")).body.error?.code).to.equal("validation_failed");
    expect((await verify("0".repeat(64))).body.error?.code).to.equal("invalid_token");
    await rig.pool.query("UPDATE registrations SET link_expires_at = now() WHERE email = $1", [email]);
    expect((await verify(link)).body.error?.code).to.equal("invalid_token");
  });

  it("mails the link again, after the pause; the newest link of an attempt works", async () => {
    const [email, username] = [address().toLowerCase(), name()];
    await signUp({ username, email, password: PASSWORD });
    const first = tokenIn(await rig.mail(email, "verify_link"));
    const again = () => rig.call("POST", "/api/user/resend-verification", { email });
    expect((await again()).status).to.equal(429);
    await pauseOver(email);
    await workflow(email).terminate("so that the test need not wait");
    const before = rig.mails.length;
    expect((await again()).status).to.equal(202);
    const second = tokenIn(await rig.mail(email, "verify_link", before));
    expect(second).to.not.equal(first);
    expect((await verify(second)).status).to.equal(200);
    expect((await verify(first)).status, "the earlier link is void").to.equal(400);
    expect((await login(username)).body.data.user.email_verified).to.equal(true);
  });

  it("a link works although its workflow is gone", async () => {
    const email = address().toLowerCase();
    await signUp({ username: name(), email, password: PASSWORD });
    const link = tokenIn(await rig.mail(email, "verify_link"));
    await workflow(email).terminate("lost");
    expect((await verify(link)).status).to.equal(200);
  });

  it("answers for a known address as for a new one, and mails its owner", async () => {
    const known = await member(rig);
    const username = name();
    const answer = await signUp({ username, email: known.email, password: "another password 55" });
    expect(answer.status).to.equal(201);
    expect(answer.body.data).to.include({ email: known.email, username, email_verified: false });
    expect(answer.body.data.id).to.not.equal(known.id);
    await rig.mail(known.email, "already_registered");
    expect((await login(username, "another password 55")).status).to.equal(401);
    for (const email of [address(), (await member(rig)).email]) {
      const resent = await rig.call("POST", "/api/user/resend-verification", { email });
      expect([resent.status, resent.body.data]).to.deep.equal([202, { resend_after: 60 }]);
    }
  });

  it("an address somebody else registered is claimed by whoever proves it with a code; what was there before ends", async () => {
    const [email, squatter] = [address().toLowerCase(), name()];
    await signUp({ username: squatter, email, password: "the squatter's password 1" });
    const link = tokenIn(await rig.mail(email, "verify_link"));
    const stolen = (await login(squatter, "the squatter's password 1")).body.data;
    await ask(email);
    const answer = await register({ email, code: codeIn(await rig.mail(email, "email_code")), username: name(), password: PASSWORD });
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
    expect((await rig.call("GET", "/api/user/me", undefined, stolen.access_token)).status).to.equal(401);
    expect((await rig.call("POST", "/api/auth/refresh", { refresh_token: stolen.refresh_token })).status).to.equal(401);
    expect((await login(email, "the squatter's password 1")).status).to.equal(401);
    expect((await login(squatter, "the squatter's password 1")).status).to.equal(401);
    expect((await login(email)).status).to.equal(200);
    expect((await verify(link)).status, "the squatter's link is void").to.equal(400);
  });

  it("a second registration of an unproven address counts when its own link is followed", async () => {
    const email = address().toLowerCase();
    await signUp({ username: name(), email, password: "the squatter's password 1" });
    await rig.mail(email, "verify_link");
    await pauseOver(email);
    await workflow(email).terminate("so that the test need not wait");
    const before = rig.mails.length;
    const username = name();
    expect((await signUp({ username, email, password: PASSWORD })).status).to.equal(201);
    expect((await login(email)).status, "not before the link").to.equal(401);
    expect((await verify(tokenIn(await rig.mail(email, "verify_link", before)))).status).to.equal(200);
    expect((await login(username)).status).to.equal(200);
    expect((await login(email, "the squatter's password 1")).status).to.equal(401);
  });

  it("refuses a taken username and a weak password by name", async () => {
    const taken = (await member(rig)).username;
    const conflict = await signUp({ username: taken, email: address(), password: PASSWORD });
    expect([conflict.status, conflict.body.message]).to.deep.equal([409, "username: is taken"]);
    const weak = await signUp({ username: name(), email: address(), password: "qwerty" });
    expect([weak.status, weak.body.error?.code]).to.deep.equal([400, "validation_failed"]);
  });
});
