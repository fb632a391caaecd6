import { expect } from "chai";
import { createChanges } from "../../../src/identity/changes.ts";
import { createEndUserTokens, type EndUserTokens, type TokenSettings } from "../../../src/identity/endUserTokens.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, startRawUpstream, type RawUpstream } from "./rawUpstream.ts";

/** Costs 0.6 credits at 30 and 60 per 1000 tokens. */
const COMPLETION = JSON.stringify({
  id: "c1",
  object: "chat.completion",
  created: 1,
  model: "upstream-model",
  choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
});

describe("calls with an end-user token", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;
  let tokens: EndUserTokens;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places), startRawUpstream()]);
    upstream.behave(answerOf(200, COMPLETION));
    model = await relay.model([upstream.url]);
    tokens = createEndUserTokens({ pool: relay.pool, ledger: relay.ledger, changes: createChanges(relay.invalidation) });
  });
  afterEach(async () => expect((await relay.ledger.verify()).differences).to.deep.equal([]));
  after(() => Promise.all([relay.close(), upstream.close()]));

  const mint = (of: Customer, settings: Partial<TokenSettings> = {}) =>
    tokens.mint(of.keyId, {
      ttlSeconds: 600,
      budget: 1_500_000n,
      limits: {},
      models: null,
      allowedIps: null,
      endUser: null,
      ...settings,
    });
  async function ask(token: string, headers: Record<string, string> = { authorization: `Bearer ${token}` }) {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model, max_tokens: 5, messages: [{ role: "user", content: "Hello there, how are you today?" }] }),
    });
    const { error } = (await response.json()) as { error?: { code: string; message: string } };
    await relay.settle();
    return { status: response.status, code: error?.code, message: error?.message };
  }
  const spentOf = async (of: Customer) => (await tokens.list(of.keyId, { page: 1, page_size: 10 })).items.map((token) => token.spent);

  it("are not told what the key's owner has", async () => {
    const ada = await relay.customer();
    const { token } = await mint(ada, { budget: 900_000_000n });
    const ask = (key: string, stream: boolean): Promise<Response> =>
      fetch(`${relay.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
        body: JSON.stringify({ model, stream, max_tokens: 50, messages: [{ role: "user", content: "Hello there, how are you today?" }] }),
      });
    const own = await ask(ada.key, false);
    expect(own.headers.get("x-tollkeeper-balance")).to.equal("999.4");
    const foreign = await ask(token, false);
    expect(foreign.headers.get("x-tollkeeper-cost")).to.equal("0.6");
    expect(foreign.headers.get("x-tollkeeper-balance")).to.equal(null);
    await relay.settle();
  });

  it("are charged to the key's owner until the token's budget is spent, and are on record with token and key", async () => {
    const ada = await relay.customer();
    const { token, id } = await mint(ada);
    expect(await ask(token)).to.include({ status: 200 });
    expect(await ask(token, { "x-api-key": token })).to.include({ status: 200 });
    const refused = await ask(token);
    expect(refused).to.include({
      status: 429,
      code: "spend_limit_reached",
      message: "The budget of this token does not leave enough for this call",
    });
    expect(await spentOf(ada)).to.deep.equal(["1.2"]);
    expect((await relay.balance(ada)).total).to.equal("998800000");
    const { rows } = await relay.pool.query("SELECT key_id, token_id FROM usage_events WHERE user_id = $1", [ada.userId]);
    expect(rows).to.deep.equal([1, 2].map(() => ({ key_id: ada.keyId, token_id: id })));
    expect(await ask(ada.key)).to.include({ status: 200 });
  });

  it("count for the key's and the account's limits too", async () => {
    const ada = await relay.customer({ keyLimits: { spend_total: "1.7" } });
    const [first, second] = [await mint(ada, { budget: 10_000_000n }), await mint(ada, { budget: 10_000_000n })];
    expect(await ask(first.token)).to.include({ status: 200 });
    expect(await ask(second.token)).to.include({ status: 200 });
    expect(await ask(second.token)).to.include({
      code: "spend_limit_reached",
      message: "The total spend limit of this key does not leave enough for this call",
    });
    expect(await ask(ada.key)).to.include({ code: "spend_limit_reached" });
    expect(await spentOf(ada)).to.deep.equal(["0.6", "0.6"]);
  });

  it("end within a second of the token's revocation", async () => {
    const ada = await relay.customer();
    const { token, id } = await mint(ada);
    expect(await ask(token)).to.include({ status: 200 });
    await tokens.revoke(ada.keyId, id);
    await waitFor(async () => (await ask(token)).status === 401, { timeoutMs: 1_000, everyMs: 5 });
  });

  it("are held to the token's own models, addresses and rates", async () => {
    const ada = await relay.customer({ userLimits: { max_parallel: 10, requests_per_minute: 1_000 } });
    const elsewhere = await mint(ada, { allowedIps: ["203.0.113.0/24"] });
    expect(await ask(elsewhere.token)).to.include({ status: 403, code: "forbidden" });
    const otherwise = await mint(ada, { models: ["another"] });
    expect(await ask(otherwise.token)).to.include({ status: 403, code: "model_not_allowed" });
    const slow = await mint(ada, { limits: { requests_per_minute: 1 } });
    expect(await ask(slow.token)).to.include({ status: 200 });
    expect(await ask(slow.token)).to.include({ status: 429, code: "rate_limited" });
    expect(await ask(ada.key)).to.include({ status: 200 });
  });
});
