import { mock } from "node:test";
import { expect } from "chai";
import { makeKey } from "../../../src/identity/keyFormat.ts";
import { parseCredits } from "../../../src/platform/credits.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, DONE, hang, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

/** A whole answer to a prompt of 10 tokens: at 30 and 60 per 1000 it costs 0.6 credits with 5 tokens of output. */
const completion = (output = 5) =>
  JSON.stringify({
    id: "c1",
    object: "chat.completion",
    created: 1,
    model: "upstream-model",
    choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 10, completion_tokens: output, total_tokens: 10 + output },
  });

/** Held for as a few tokens more than it is said to have: a call never costs more than its hold. */
const PROMPT = [{ role: "user", content: "Hello there, how are you today?" }];

/** Calls at once; TEST_SCALE=full makes it 1,000. */
const MANY = process.env["TEST_SCALE"] === "full" ? 1_000 : 300;
const OPEN = { requests_per_minute: 1_000_000, max_parallel: 10_000 };

interface Told {
  error?: { code: string; message: string; type: string };
}

describe("spend limits", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places), startRawUpstream()]);
    model = await relay.model([upstream.url]);
  });
  beforeEach(() => upstream.behave(answerOf(200, completion())));
  afterEach(async () => expect((await relay.ledger.verify()).differences).to.deep.equal([]));
  after(() => Promise.all([relay.close(), upstream.close()]));

  async function ask(customer: Pick<Customer, "key">, more: object = {}, copy = relay) {
    const response = await fetch(`${copy.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 5, messages: PROMPT, ...more }),
    });
    const told = (await response.json()) as Told;
    return { response, status: response.status, code: told.error?.code, message: told.error?.message, type: told.error?.type };
  }
  const spent = async (customer: Customer) => {
    await relay.settle();
    return parseCredits("1000")! - (await relay.ledger.balance(customer.walletId)).total;
  };
  async function anotherKey(owner: Customer): Promise<Pick<Customer, "key">> {
    const { key, hash, prefix } = makeKey();
    await relay.pool.query("INSERT INTO api_keys (id, user_id, name, hash, prefix) VALUES (gen_random_uuid(), $1, 'second', $2, $3)", [
      owner.userId,
      hash,
      prefix,
    ]);
    return { key };
  }
  async function announced(topic: "user" | "api_key" | "settings", id: string) {
    const heard = new Promise<void>((resolve) => relay.invalidation.on(topic, (which) => which === id && resolve()));
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', $1)", [`${topic}:${id}`]);
    await heard;
  }

  for (const [limit, name] of [
    ["spend_total", "total"],
    ["spend_daily", "daily"],
    ["spend_monthly", "monthly"],
  ] as const) {
    it(`a key whose ${name} limit is spent is refused for good; official clients do not try again`, async () => {
      const ada = await relay.customer({ keyLimits: { [limit]: "1.1" } });
      expect((await ask(ada)).status).to.equal(200);
      await relay.settle();
      expect((await ask(ada)).code).to.equal("spend_limit_reached");
      await relay.pool.query("UPDATE api_keys SET limits = $2 WHERE id = $1", [ada.keyId, { [limit]: "0.6" }]);
      await announced("api_key", ada.keyId);
      const refused = await ask(ada);
      expect(refused).to.include({ status: 429, code: "spend_limit_reached", type: "insufficient_quota" });
      expect(refused.message).to.equal(`The ${name} spend limit of this key is reached`);
      expect(refused.response.headers.get("x-should-retry")).to.equal("false");
      expect(refused.response.headers.get("retry-after")).to.equal(null);
      expect(await spent(ada)).to.equal(600_000n);
    });
  }

  it("a limit that is set later counts calls that ended but are not settled yet, once", async () => {
    const ada = await relay.customer();
    for (let i = 0; i < 3; i++) expect((await ask(ada)).status).to.equal(200);
    const limits = { spend_total: "3.2" };
    await relay.pool.query("UPDATE api_keys SET limits = $2 WHERE id = $1", [ada.keyId, limits]);
    await announced("api_key", ada.keyId);
    // 1.8 credits wait for settlement; a call is held for with more than it costs, so that two more fit and a third does not.
    expect((await ask(ada)).status).to.equal(200);
    const budget = { id: `key:${ada.keyId}`, period: "total" };
    const [before] = await relay.ledger.budgets([budget]);
    expect(before!.spent).to.equal(1_800_000n);
    expect(await spent(ada)).to.equal(2_400_000n);
    const [after] = await relay.ledger.budgets([budget]);
    expect(after).to.deep.equal({ spent: 2_400_000n, held: 0n });
    expect((await ask(ada)).code).to.equal("spend_limit_reached");
  });

  it("a limit that is set while calls are being settled counts each of them once", async () => {
    for (let round = 0; round < 5; round++) {
      const ada = await relay.customer();
      await Promise.all(Array.from({ length: 20 }, () => ask(ada)));
      await relay.pool.query("UPDATE api_keys SET limits = $2 WHERE id = $1", [ada.keyId, { spend_total: "500" }]);
      await announced("api_key", ada.keyId);
      await Promise.all([relay.settle(), ask(ada)]);
      expect(await spent(ada)).to.equal(21n * 600_000n);
      const [state] = await relay.ledger.budgets([{ id: `key:${ada.keyId}`, period: "total" }]);
      expect(state).to.deep.equal({ spent: 21n * 600_000n, held: 0n });
    }
  });

  it("200 callers at once, who try again as they are told, never spend more than the key's limit for 50 calls", async () => {
    const limit = "30.2";
    const ada = await relay.customer({ keyLimits: { spend_daily: limit } });
    let served = 0;
    let waited = 0;
    const settling = setInterval(() => void relay.settle(), 20);
    const caller = async () => {
      for (;;) {
        const { status, code, response } = await ask(ada);
        if (status === 200) return (served += 1);
        if (code === "spend_limit_reached") return 0;
        expect([code, response.headers.get("retry-after")]).to.deep.equal(["spend_limit_on_hold", "1"]);
        waited += 1;
      }
    };
    await Promise.all(Array.from({ length: 200 }, caller));
    clearInterval(settling);
    expect(await spent(ada)).to.equal(BigInt(served) * 600_000n);
    expect(served).to.be.within(48, 50);
    expect(waited).to.be.greaterThan(0);
  });

  it("many calls at once on two copies never hold more than a limit for 50, whoever's limit it is", async () => {
    const other = await startRelay(places);
    try {
      for (const limits of [{ keyLimits: { spend_total: "30.2" } }, { userLimits: { spend_monthly: "30.2", ...OPEN } }]) {
        const ada = await relay.customer(limits);
        const id = "keyLimits" in limits ? `key:${ada.keyId}` : `user:${ada.userId}`;
        const answers = await Promise.all(Array.from({ length: MANY }, (_, i) => ask(ada, {}, i % 2 === 0 ? relay : other)));
        const served = answers.filter((answer) => answer.status === 200).length;
        const refusals = new Set(answers.filter((answer) => answer.status !== 200).map((answer) => answer.code));
        expect([...refusals].filter((code) => code !== "spend_limit_on_hold" && code !== "spend_limit_reached")).to.deep.equal([]);
        expect(await spent(ada)).to.equal(BigInt(served) * 600_000n);
        expect(served).to.be.within(30, 50);
        const { rows } = await relay.pool.query("SELECT spent, held FROM ledger_budgets WHERE id = $1", [id]);
        expect(rows).to.deep.equal([{ spent: BigInt(served) * 600_000n, held: 0n }]);
      }
    } finally {
      await other.close();
    }
  });

  it("an account's limit counts what all of its keys spend, and comes from its tier unless the account has its own", async () => {
    await relay.pool.query(
      "INSERT INTO tiers (name, position, limits) VALUES ('thrifty', 99, '{\"spend_monthly\": \"1.7\"}') ON CONFLICT DO NOTHING",
    );
    const ada = await relay.customer({ userLimits: {} });
    const second = await anotherKey(ada);
    await relay.pool.query("UPDATE users SET tier = 'thrifty' WHERE id = $1", [ada.userId]);
    await announced("settings", "tiers");
    await announced("user", ada.userId);
    expect((await ask(ada)).status).to.equal(200);
    expect((await ask(second)).status).to.equal(200);
    await relay.settle();
    expect(await ask(second)).to.include({
      code: "spend_limit_reached",
      message: "The monthly spend limit of this account does not leave enough for this call",
    });
    await relay.pool.query("UPDATE users SET limits = $2 WHERE id = $1", [ada.userId, { spend_monthly: "5" }]);
    await announced("user", ada.userId);
    expect((await ask(ada)).status).to.equal(200);
  });

  it("without a cap, the provider's is lowered to what the limit leaves", async () => {
    const ada = await relay.customer({ keyLimits: { spend_total: "3" } });
    expect((await ask(ada, { max_tokens: undefined })).status).to.equal(200);
    // 3 credits less 0.3 for the prompt are 45 tokens.
    expect(upstream.requests[0]!.body["max_tokens"]).to.be.within(40, 45);
    await relay.settle();
    expect((await ask(ada, { max_tokens: 100 })).code).to.equal("spend_limit_reached");
    expect((await ask(ada, { max_tokens: undefined })).status).to.equal(200);
  });

  it("what running calls hold of a limit comes back: 429 with retry-after", async () => {
    const ada = await relay.customer({ keyLimits: { spend_total: "1" } });
    upstream.behave(hang);
    const controller = new AbortController();
    const running = fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      signal: controller.signal,
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 5, messages: PROMPT }),
    }).catch(() => undefined);
    await waitFor(() => upstream.requests.length === 1, { timeoutMs: 3_000, message: "the first call" });
    const refused = await ask(ada);
    expect(refused).to.include({
      status: 429,
      code: "spend_limit_on_hold",
      message: "What the total spend limit of this key leaves is held by running calls",
    });
    expect(refused.response.headers.get("retry-after")).to.equal("1");
    expect(refused.response.headers.get("x-should-retry")).to.equal(null);
    controller.abort();
    await running;
    upstream.behave(answerOf(200, completion()));
    await waitFor(async () => (await ask(ada)).status === 200, { timeoutMs: 3_000, message: "the hold to be released" });
  });

  it("a new day begins at midnight in the user's time zone, and a call counts on the day it began", async () => {
    const ada = await relay.customer({ keyLimits: { spend_daily: "1" } });
    await relay.pool.query("UPDATE users SET time_zone = 'Asia/Kathmandu' WHERE id = $1", [ada.userId]);
    try {
      // 18:15 UTC is midnight in Kathmandu.
      mock.timers.enable({ apis: ["Date"], now: new Date("2026-11-20T18:14:59Z") });
      expect((await ask(ada)).status).to.equal(200);
      mock.timers.setTime(Date.parse("2026-11-20T18:15:00Z"));
      await relay.settle();
      expect((await ask(ada)).status).to.equal(200);
      await relay.settle();
      expect((await ask(ada)).code).to.equal("spend_limit_reached");
      mock.timers.setTime(Date.parse("2026-11-21T18:15:00Z"));
      expect((await ask(ada)).status).to.equal(200);
    } finally {
      mock.timers.reset();
    }
    const id = `key:${ada.keyId}`;
    await relay.settle();
    const days = await relay.ledger.budgets(["d:2026-11-20", "d:2026-11-21", "d:2026-11-22"].map((period) => ({ id, period })));
    expect(days).to.deep.equal([1, 2, 3].map(() => ({ spent: 600_000n, held: 0n })));
  });

  it("a limit set later knows what was spent before", async () => {
    const ada = await relay.customer();
    await ask(ada);
    await ask(ada);
    await relay.settle();
    await relay.pool.query("UPDATE api_keys SET limits = $2 WHERE id = $1", [ada.keyId, { spend_daily: "2.1", spend_total: "5" }]);
    await announced("api_key", ada.keyId);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect((await ask(ada)).code).to.equal("spend_limit_reached");
    const [total] = await relay.ledger.budgets([{ id: `key:${ada.keyId}`, period: "total" }]);
    expect(total).to.deep.equal({ spent: await spent(ada), held: 0n });
  });

  it("a failed call gives its part of the limit back", async () => {
    const ada = await relay.customer({ keyLimits: { spend_total: "1" } });
    upstream.behave(answerOf(500, "{}"));
    expect((await ask(ada)).status).to.equal(502);
    upstream.behave(answerOf(200, completion()));
    await waitFor(async () => (await ask(ada)).status === 200, { timeoutMs: 3_000, message: "the hold to be released" });
  });

  it("an answer says what the wallet has left", async () => {
    const ada = await relay.customer();
    const { response } = await ask(ada);
    expect(response.headers.get("x-tollkeeper-balance")).to.equal("999.4");
    upstream.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    const stream = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, stream: true, max_tokens: 1_000, messages: PROMPT }),
    });
    await stream.text();
    // 999.4 less the first call's hold, until it is settled, and 60 and some for the stream's own.
    expect(Number(stream.headers.get("x-tollkeeper-balance"))).to.be.within(937, 940);
  });
});
