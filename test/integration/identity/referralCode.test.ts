import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { unique } from "../../support/people.ts";
import { useStack } from "../../support/stack.ts";
import { codeIn, identityRig, member, PASSWORD, tokenIn, type Rig, type Tokens } from "./harness.ts";

describe("registering with somebody's referral code", () => {
  const places = useStack({ namespace: true });
  let rig: Rig;
  before(async () => {
    rig = await identityRig(places, { worker: true, settings: { CODE_RESEND_AFTER: 0, WELCOME_CREDITS: 25n * MICRO } });
  });
  after(() => rig.close());

  let hosts = 0;
  /** Through a proxy: each person from an address of its own unless told. */
  const from = (ip = `198.51.100.${++hosts}`) => ({ "x-forwarded-for": ip, "user-agent": "Firefox" });
  const name = () => unique("ben").slice(0, 20);
  async function referrer() {
    const ada = await member(rig);
    const { body } = await rig.call<{ code: string }>("GET", "/api/user/referrals", undefined, ada.tokens.access_token);
    return { ...ada, code: body.data.code };
  }
  async function mailedCode(email: string): Promise<string> {
    const already = rig.mails.length;
    await rig.call("POST", "/api/auth/email-code", { email, purpose: "register" });
    return codeIn(await rig.mail(email, "email_code", already));
  }
  const byCode = async (email: string, more: object, ip?: string) =>
    rig.call<Tokens>("POST", "/api/auth/register", { email, code: await mailedCode(email), ...more }, undefined, from(ip));
  const byLink = (email: string, more: object) =>
    rig.call<{ id: string }>("POST", "/api/user/register", { email, username: name(), password: PASSWORD, ...more }, undefined, from());
  async function follow(email: string): Promise<void> {
    const link = await rig.mail(email, "verify_link");
    const { status } = await rig.call("GET", `/api/user/verify-email?token=${tokenIn(link)}`);
    expect(status).to.equal(200);
  }
  async function referralOf(userId: string) {
    const { body } = await rig.call<{ items: Record<string, unknown>[] }>(
      "GET",
      `/api/admin/referrals?referred_id=${userId}`,
      undefined,
      rig.admin.token,
    );
    return body.data.items[0];
  }

  it("by a mailed code records who brought whom", async () => {
    const ada = await referrer();
    const made = await byCode(`${name()}@example.com`, { referral_code: ada.code.toLowerCase() });
    expect(made.status, JSON.stringify(made.body)).to.equal(201);
    expect(await referralOf(made.body.data.user.id)).to.deep.include({
      referrer_id: ada.id,
      code: ada.code,
      status: "pending",
      signals: [],
    });
  });

  it("a code that nobody has is named, and the mailed code is still good", async () => {
    const email = `${name()}@example.com`;
    const code = await mailedCode(email);
    const wrong = await rig.call("POST", "/api/auth/register", { email, code, referral_code: "NOBODY22" });
    expect([wrong.status, wrong.body.error?.details]).to.deep.equal([400, [{ field: "referral_code", message: "is not a referral code" }]]);
    expect((await rig.call("POST", "/api/auth/register", { email, code })).status).to.equal(201);
    const other = await byLink(`${name()}@example.com`, { referral_code: "NOBODY22" });
    expect(other.body.error?.code).to.equal("validation_failed");
    expect((await byLink(`${name()}@example.com`, { referral_code: "no code" })).status).to.equal(400);
  });

  it("by a mailed link records it with the account", async () => {
    const ada = await referrer();
    const email = `${name()}@example.com`;
    const made = await byLink(email, { referral_code: ada.code });
    expect(made.status).to.equal(201);
    await follow(email);
    expect(await referralOf(made.body.data.id)).to.include({ referrer_id: ada.id, status: "pending" });
  });

  it("an account that was never proven goes to whoever proves it, with what he said", async () => {
    const [ada, cleo] = [await referrer(), await referrer()];
    const email = `${name()}@example.com`;
    const squatted = await byLink(email, { referral_code: ada.code });
    const claimed = await byCode(email, { referral_code: cleo.code });
    expect(claimed.body.data.user.id).to.equal(squatted.body.data.id);
    expect(await referralOf(squatted.body.data.id)).to.include({ referrer_id: cleo.id });
    const other = `${name()}@example.com`;
    const second = await byLink(other, { referral_code: ada.code });
    await byCode(other, {});
    expect(await referralOf(second.body.data.id)).to.equal(undefined);
  });

  it("one's own is recorded as refused, and the registration goes on as any other", async () => {
    const ada = await referrer();
    const [local, domain] = ada.email.split("@");
    const made = await byCode(`${local}+2@${domain}`, { referral_code: ada.code });
    expect(made.status).to.equal(201);
    expect(await referralOf(made.body.data.user.id)).to.include({ status: "refused", reason: "self_referral" });
  });

  it("from where the referrer signed in is a signal", async () => {
    const ada = await referrer();
    const ip = `203.0.113.${++hosts}`;
    await rig.call("POST", "/api/auth/login", { email: ada.email, password: PASSWORD }, undefined, from(ip));
    const made = await byCode(`${name()}@example.com`, { referral_code: ada.code }, ip);
    expect(await referralOf(made.body.data.user.id)).to.deep.include({ status: "pending", signals: ["same_network", "same_device"] });
  });

  it("rewards are for people who may sign in, by their own session", async () => {
    const ada = await referrer();
    const token = ada.tokens.access_token;
    // Without any body, as some clients send it.
    expect((await rig.call("POST", "/api/user/checkin", undefined, token)).status).to.equal(201);
    const { body } = await rig.call<{ key: string }>("POST", "/api/user/keys", { name: "a key" }, token);
    expect((await rig.call("POST", "/api/user/checkin", {}, body.data.key)).body.error?.code).to.equal("forbidden");
    await rig.call("PATCH", `/api/admin/users/${ada.id}`, { status: "suspended" }, rig.admin.token);
    for (const path of ["/api/user/checkin", "/api/user/checkin/makeup", "/api/user/campaigns/X/claim"]) {
      expect((await rig.call("POST", path, {}, token)).body.error?.code, path).to.equal("account_suspended");
    }
  });

  it("the welcome is what the live setting says, once for each account", async () => {
    const total = async (userId: string) => {
      const { rows } = await rig.pool.query<{ wallet_id: bigint }>("SELECT wallet_id FROM users WHERE id = $1", [userId]);
      return (await rig.ledger.balance(rows[0]!.wallet_id)).total;
    };
    const change = async (value: string | null) => {
      const { version } = await rig.settings.list();
      await rig.settings.change({ userId: uuidv7(), traceId: "test" }, { version, reason: "test", values: { "welcome.credits": value } });
    };
    const welcomed = async () => (await byCode(`${name()}@example.com`, {})).body.data.user.id;
    const first = await welcomed();
    await change("7.5");
    const second = await welcomed();
    await change("0");
    const third = await welcomed();
    await change("99");
    // A step that is tried again after the setting was changed.
    for (const id of [first, second]) await rig.rewards.welcome(id);
    expect(await Promise.all([first, second, third].map(total))).to.deep.equal([25n * MICRO, 7_500_000n, 0n]);
    await change(null);
  });
});
