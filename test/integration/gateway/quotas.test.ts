import { mock } from "node:test";
import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, hang, startRawUpstream, type RawUpstream } from "./rawUpstream.ts";

/** A whole answer that used 10 and 5 tokens. */
const ANSWER = JSON.stringify({
  id: "c1",
  object: "chat.completion",
  created: 1,
  model: "upstream-model",
  choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
});
const PROMPT = [{ role: "user", content: "Hello there, how are you today?" }];
const OPEN = { requests_per_minute: 1_000_000, max_parallel: 10_000 };
const MANY = 500;

interface Told {
  error?: { code: string; message: string; type: string };
}

describe("quotas", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places), startRawUpstream()]);
    model = await relay.model([upstream.url]);
  });
  beforeEach(() => upstream.behave(answerOf(200, ANSWER)));
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
  async function announced(topic: "user" | "api_key" | "settings", id: string) {
    const heard = new Promise<void>((resolve) => relay.invalidation.on(topic, (which) => which === id && resolve()));
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', $1)", [`${topic}:${id}`]);
    await heard;
  }
  async function counters(id: string) {
    const { rows } = await relay.pool.query<{ period: string; spent: bigint; held: bigint }>(
      "SELECT period, spent, held FROM ledger_budgets WHERE id = $1 AND period LIKE 'q_:%' ORDER BY period",
      [id],
    );
    return rows;
  }

  it("a key whose requests are used up is refused until the reset day; official clients do not try again", async () => {
    const ada = await relay.customer({ keyLimits: { quota_requests: 2 } });
    expect((await ask(ada)).status).to.equal(200);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    const refused = await ask(ada);
    expect(refused).to.include({ status: 429, code: "quota_exceeded", type: "insufficient_quota" });
    expect(refused.message).to.match(/^The quota of 2 requests of this key is used up; it begins anew at \d{4}-\d\d-\d\dT16:00Z$/);
    expect(refused.response.headers.get("x-should-retry")).to.equal("false");
    const [counter] = await counters(`key:${ada.keyId}`);
    expect(counter).to.include({ spent: 200n, held: 0n });
  });

  for (const [name, quota, most, period] of [
    ["requests", { quota_requests: 50 }, 50, "qr:"],
    ["tokens", { quota_tokens: 750 }, 50, "qt:"],
    ["credits", { quota_credits: "30.2" }, 50, "qc:"],
  ] as const) {
    it(`${MANY} calls at once on two copies never use one more than the ${name} an account has`, async () => {
      const other = await startRelay(places);
      try {
        const ada = await relay.customer({ userLimits: { ...quota, ...OPEN } });
        const answers = await Promise.all(Array.from({ length: MANY }, (_, n) => ask(ada, {}, n % 2 === 0 ? relay : other)));
        const refusals = new Set(answers.filter(({ status }) => status !== 200).map(({ code }) => code));
        expect([...refusals].filter((code) => code !== "quota_on_hold" && code !== "quota_exceeded")).to.deep.equal([]);
        let count = answers.filter(({ status }) => status === 200).length;
        expect(count).to.be.within(1, most);
        // What was held in vain has come back: the rest can be used, to the last.
        await relay.settle();
        while ((await ask(ada)).status === 200) {
          count += 1;
          await relay.settle();
        }
        // Of credits and tokens a call holds a little more than it uses.
        expect(count).to.be.within(name === "requests" ? most : most - 1, most);
        const [counter] = await counters(`user:${ada.userId}`);
        const each = { "qr:": 100n, "qt:": 1_500n, "qc:": 600_000n }[period];
        expect(counter).to.include({ spent: BigInt(count) * each, held: 0n });
        expect(counter!.period).to.match(new RegExp(`^${period}`));
      } finally {
        await other.close();
      }
    });
  }

  it("a heavy model eats more of requests and tokens", async () => {
    const heavy = await relay.model([upstream.url]);
    await relay.pool.query(
      "INSERT INTO gateway_limits (id, scope, model, token_weight_percent) VALUES (gen_random_uuid(), 'model', $1, 250)",
      [heavy],
    );
    await announced("settings", "limits");
    const ada = await relay.customer({ userLimits: { quota_requests: 4, quota_tokens: 1_000 } });
    expect((await ask(ada, { model: heavy })).status).to.equal(200);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect((await counters(`user:${ada.userId}`)).map(({ spent }) => spent)).to.deep.equal([350n, 15n * 350n]);
    expect(await ask(ada, { model: heavy })).to.include({ code: "quota_exceeded" });
  });

  it("a model may be heavy for a tier only, and a plan's weight goes before the tier's", async () => {
    const heavy = await relay.model([upstream.url]);
    const ada = await relay.customer({ userLimits: { quota_requests: 100 } });
    const name = `w${ada.userId.replaceAll("-", "").slice(0, 20)}`;
    await relay.pool.query(
      "INSERT INTO tiers (name, position, limits, weights) VALUES ($1, (SELECT max(position) + 1 FROM tiers), '{}', $2)",
      [name, { [heavy]: 400, [model]: 50 }],
    );
    await relay.pool.query("UPDATE users SET tier = $2 WHERE id = $1", [ada.userId, name]);
    await announced("settings", "tiers");
    await announced("user", ada.userId);
    expect((await ask(ada, { model: heavy })).status).to.equal(200);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect((await counters(`user:${ada.userId}`)).map(({ spent }) => spent)).to.deep.equal([450n]);
    await relay.pool.query("INSERT INTO plans (name) VALUES ($1)", [name]);
    await relay.pool.query("INSERT INTO plan_versions (plan, version, display_name, weights) VALUES ($1, 1, 'Heavier', $2)", [
      name,
      { [heavy]: 1_000 },
    ]);
    await relay.pool.query(
      "INSERT INTO subscription_terms (user_id, from_at, plan, reset_day, time_zone) VALUES ($1, 'epoch', $2, 1, 'Asia/Shanghai')",
      [ada.userId, name],
    );
    await announced("settings", "tiers");
    await announced("user", ada.userId);
    expect((await ask(ada, { model: heavy })).status).to.equal(200);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect((await counters(`user:${ada.userId}`)).map(({ spent }) => spent)).to.deep.equal([1_500n]);
  });

  it("a call that fails is not counted, one that was charged counts once, also when it is settled again", async () => {
    const ada = await relay.customer({ userLimits: { quota_requests: 1, quota_tokens: 1_000 } });
    upstream.behave(answerOf(500, "{}"));
    expect((await ask(ada)).status).to.equal(502);
    upstream.behave(answerOf(200, ANSWER));
    await waitFor(async () => (await ask(ada)).status === 200, { timeoutMs: 3_000, message: "the hold to be released" });
    await relay.settle();
    await relay.settle();
    expect((await counters(`user:${ada.userId}`)).map(({ spent, held }) => [spent, held])).to.deep.equal([
      [100n, 0n],
      [1_500n, 0n],
    ]);
  });

  it("what running calls hold comes back: 429 with retry-after", async () => {
    const ada = await relay.customer({ keyLimits: { quota_requests: 1 } });
    upstream.behave(hang);
    const controller = new AbortController();
    const running = fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      signal: controller.signal,
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 5, messages: PROMPT }),
    }).catch(() => undefined);
    await waitFor(async () => (await counters(`key:${ada.keyId}`))[0]?.held === 100n, { timeoutMs: 3_000, message: "the first call" });
    const refused = await ask(ada);
    expect(refused).to.include({ status: 429, code: "quota_on_hold" });
    expect(refused.message).to.equal("What the quota of 1 requests of this key leaves is held by running calls");
    expect(refused.response.headers.get("retry-after")).to.equal("1");
    controller.abort();
    await running;
    upstream.behave(answerOf(200, ANSWER));
    await waitFor(async () => (await ask(ada)).status === 200, { timeoutMs: 3_000, message: "the hold to be released" });
  });

  it("without a cap, the provider's is lowered to what a quota of tokens leaves", async () => {
    const ada = await relay.customer({ userLimits: { quota_tokens: 60 } });
    const seen = upstream.requests.length;
    expect((await ask(ada, { max_tokens: undefined })).status).to.equal(200);
    expect(upstream.requests[seen]!.body["max_tokens"]).to.be.within(40, 52);
    expect((await ask(ada, { max_tokens: 100 })).code).to.equal("quota_exceeded");
  });

  it("a quota set later knows what was used before in the period, by the weight of each model", async () => {
    const heavy = await relay.model([upstream.url]);
    await relay.pool.query(
      "INSERT INTO gateway_limits (id, scope, model, token_weight_percent) VALUES (gen_random_uuid(), 'model', $1, 300)",
      [heavy],
    );
    await announced("settings", "limits");
    const ada = await relay.customer();
    expect((await ask(ada)).status).to.equal(200);
    expect((await ask(ada, { model: heavy })).status).to.equal(200);
    upstream.behave(answerOf(500, "{}"));
    expect((await ask(ada)).status).to.equal(502);
    upstream.behave(answerOf(200, ANSWER));
    await relay.pool.query("UPDATE api_keys SET limits = $2 WHERE id = $1", [ada.keyId, { quota_requests: 5, quota_tokens: 1_000 }]);
    await announced("api_key", ada.keyId);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect((await ask(ada)).code).to.equal("quota_exceeded");
    expect((await counters(`key:${ada.keyId}`)).map(({ spent }) => spent)).to.deep.equal([500n, 15n * 500n]);
  });

  it("a period ends at its very moment, and a call in flight across it is counted in the one where it began", async () => {
    const ada = await relay.customer({ userLimits: { quota_requests: 1, quota_tokens: 1_000 } });
    await relay.pool.query(
      "INSERT INTO subscription_terms (user_id, from_at, plan, reset_day, time_zone) VALUES ($1, '2026-01-01', 'free', 31, 'Asia/Kathmandu')",
      [ada.userId],
    );
    await announced("user", ada.userId);
    try {
      // The 31st of a month of 30 days: 18:15 UTC of the day before is its midnight in Kathmandu.
      mock.timers.enable({ apis: ["Date"], now: new Date("2026-11-29T18:14:59.900Z") });
      expect((await ask(ada)).status).to.equal(200);
      expect((await ask(ada)).status).to.equal(429);
      mock.timers.setTime(Date.parse("2026-11-29T18:15:00Z"));
      await relay.settle();
      expect((await ask(ada)).status).to.equal(200);
      expect((await ask(ada)).status).to.equal(429);
    } finally {
      mock.timers.reset();
    }
    await relay.settle();
    const found = await counters(`user:${ada.userId}`);
    expect(found.map(({ period, spent, held }) => [period, spent, held])).to.deep.equal([
      ["qr:2026-11-29T18:15Z", 100n, 0n],
      ["qr:2026-12-30T18:15Z", 100n, 0n],
      ["qt:2026-11-29T18:15Z", 1_500n, 0n],
      ["qt:2026-12-30T18:15Z", 1_500n, 0n],
    ]);
  });

  it("a plan's quota goes before the tier's and the account's own before both", async () => {
    const ada = await relay.customer();
    const limitOf = async () => /quota of (\d+) requests/.exec((await ask(ada, { max_tokens: 5 })).message ?? "")?.[1];
    const plan = `p${ada.userId.replaceAll("-", "").slice(0, 20)}`;
    await relay.pool.query("INSERT INTO tiers (name, position, limits) VALUES ($1, (SELECT max(position) + 1 FROM tiers), $2)", [
      plan,
      { quota_requests: 1 },
    ]);
    await relay.pool.query("INSERT INTO plans (name) VALUES ($1)", [plan]);
    await relay.pool.query("INSERT INTO plan_versions (plan, version, display_name, limits) VALUES ($1, 1, 'Two', $2)", [
      plan,
      { quota_requests: 2 },
    ]);
    await relay.pool.query("UPDATE users SET tier = $2, limits = '{}' WHERE id = $1", [ada.userId, plan]);
    await announced("settings", "tiers");
    await announced("user", ada.userId);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect(await limitOf()).to.equal("1");
    await relay.pool.query(
      "INSERT INTO subscription_terms (user_id, from_at, plan, reset_day, time_zone) VALUES ($1, now() - interval '40 days', $2, 1, 'UTC')",
      [ada.userId, plan],
    );
    await announced("user", ada.userId);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect(await limitOf()).to.equal("2");
    await relay.pool.query("UPDATE users SET limits = $2 WHERE id = $1", [ada.userId, { quota_requests: 3 }]);
    await announced("user", ada.userId);
    expect((await ask(ada)).status).to.equal(200);
    await relay.settle();
    expect(await limitOf()).to.equal("3");
  });
});
