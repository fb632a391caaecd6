import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { billOf } from "./bill.ts";
import { startRelay, type Relay } from "./harness.ts";
import { answerOf, completion, startRawUpstream, type RawUpstream } from "./rawUpstream.ts";

describe("calls with an access token", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places), startRawUpstream()]);
    upstream.behave(answerOf(200, completion(10, 5)));
    model = await relay.model([upstream.url]);
  });
  afterEach(async () => expect((await relay.ledger.verify()).differences).to.deep.equal([]));
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  async function ask(token: string, path = "/chat/completions") {
    const response = await fetch(relay.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ model, stream: false, messages: [{ role: "user", content: "Which way?" }] }),
    });
    const { error } = (await response.json()) as { error?: { code: string } };
    return { status: response.status, code: error?.code, headers: response.headers };
  }

  it("are the user's own: paid by the wallet, within the account's limits, by no key", async () => {
    const ada = await relay.customer({ userLimits: { requests_per_minute: 2, max_parallel: 2 }, keyLimits: { requests_per_minute: 1 } });
    const { token } = await relay.signIn(ada);
    const first = await ask(token);
    expect([first.status, first.headers.get("x-tollkeeper-cost"), first.headers.get("x-tollkeeper-balance")]).to.deep.equal([
      200,
      "0.6",
      "999.4",
    ]);
    expect(await ask(token, "/v1/chat/completions")).to.include({ status: 200 });
    expect(await ask(token)).to.include({ status: 429, code: "rate_limited" });
    expect((await billOf(relay, ada)).charged).to.equal(1_200_000n);
    const { rows } = await relay.pool.query("SELECT key_id, token_id, cost FROM usage_events WHERE user_id = $1", [ada.userId]);
    expect(rows).to.deep.equal([1, 2].map(() => ({ key_id: null, token_id: null, cost: 600_000n })));
  });

  it("have what behaviour leaves of the tier's rates", async () => {
    const ada = await relay.customer();
    const tier = `s${ada.userId.replaceAll("-", "").slice(0, 20)}`;
    const limits = { requests_per_minute: 10, max_parallel: 10 };
    await relay.pool.query("INSERT INTO tiers (name, position, limits) VALUES ($1, (SELECT max(position) + 1 FROM tiers), $2)", [
      tier,
      limits,
    ]);
    await relay.pool.query("UPDATE users SET tier = $2, limits = '{}' WHERE id = $1", [ada.userId, tier]);
    await relay.pool.query("INSERT INTO tier_rules (version, rules) VALUES (1, $1)", [
      { enabled: true, limits_follow_score: { full_from: 80, least_percent: 10 } },
    ]);
    await relay.pool.query("INSERT INTO tier_standings (user_id, tier, score, limit_percent, reviewed_at) VALUES ($1, $2, 10, 20, now())", [
      ada.userId,
      tier,
    ]);
    const heard = new Promise<void>((resolve) => relay.invalidation.on("settings", (which) => which === "tiers" && resolve()));
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'settings:tiers')");
    await heard;
    const { token } = await relay.signIn(ada);
    expect(await ask(token)).to.include({ status: 200 });
    expect(await ask(token)).to.include({ status: 200 });
    expect(await ask(token)).to.include({ status: 429, code: "rate_limited" });
  });

  it("are held to the account's spend limit", async () => {
    const ada = await relay.customer({ userLimits: { requests_per_minute: 100, max_parallel: 2, spend_daily: "1.7" } });
    const { token } = await relay.signIn(ada);
    expect(await ask(token)).to.include({ status: 200 });
    await relay.settle();
    expect(await ask(token)).to.include({ status: 429, code: "spend_limit_reached" });
  });

  it("are known without a query, and end within a second of the session", async () => {
    const ada = await relay.customer();
    const { token, sessionId } = await relay.signIn(ada);
    expect(await ask(token)).to.include({ status: 200 });
    await relay.pool.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [sessionId]);
    expect(await ask(token), "nobody was told yet").to.include({ status: 200 });
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', $1)", [`user:${ada.userId}`]);
    await waitFor(async () => (await ask(token)).status === 401, { timeoutMs: 1_000, everyMs: 10 });
    await relay.settle();
  });

  it("are refused with a token that is forged, of somebody suspended, or of somebody without a mail address", async () => {
    const { token } = await relay.signIn(await relay.customer());
    expect(await ask(`${token.slice(0, -4)}AAAA`)).to.include({ status: 401 });
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "JWT", kid: "t" })).toString("base64url");
    expect(await ask(`${none}.${token.split(".")[1]}.`)).to.include({ status: 401 });
    expect(await ask("eyJ")).to.include({ status: 401 });
    const suspended = await relay.signIn(await relay.customer({ status: "suspended" }));
    expect(await ask(suspended.token)).to.include({ status: 403, code: "account_suspended" });
    const unverified = await relay.signIn(await relay.customer({ verified: false }));
    expect(await ask(unverified.token)).to.include({ status: 403, code: "email_not_verified" });
  });
});
