import { expect } from "chai";
import { formatCredits } from "../../../src/platform/credits.ts";
import { waitFor } from "../../support/waitFor.ts";
import { messageEnd, WEBHOOK_KEY, WEBHOOK_SECRET } from "../../support/dify.ts";
import { startUpstream } from "../../support/upstream.ts";
import { useStack } from "../../support/stack.ts";
import { startRelay, type Customer, type CustomerOptions, type Relay } from "../gateway/harness.ts";
import { startDify, type DifyRig } from "./rig.ts";

/** TEST_SCALE=full: a thousand messages each way. */
const MESSAGES = process.env["TEST_SCALE"] === "full" ? 1_000 : 60;
const AT_ONCE = 20;
const CREDIT = 1_000_000n;
const COST = 93n * CREDIT;
const OPEN = { requests_per_minute: 1_000_000, max_parallel: 10_000 };

interface Sent {
  message_id: string;
  status: number;
  body: { data?: { pointsDeducted: number }; error?: { code: string } };
}

/** The real gateway before an app whose Dify reports to the real webhook, as it comes. */
describe("a message that an app's Dify reports while it is relayed", function () {
  this.timeout(600_000);
  const places = useStack();
  let relay: Relay;
  let rig: DifyRig;
  let dify: Awaited<ReturnType<typeof startUpstream>>;
  let app: string;
  /** What a call of the app holds: its prompt with what the app may add, and the most it may put out. */
  let held: bigint;

  before(async () => {
    [relay, rig, dify] = await Promise.all([startRelay(places), startDify(places.databaseUrl), startUpstream()]);
    app = await relay.model([dify.url], { apiFormat: "dify", providers: [{ keys: ["app-chat-1"] }] });
    await dify.tell("[[usage:1500,800]] [[chunks:3]]");
    // The webhook names the model behind the app, which nobody here has heard of: a relayed message is of its call's model.
    await control({ url: `${rig.url}/api/dify/webhook`, api_key: WEBHOOK_KEY, secret: WEBHOOK_SECRET, model: "gpt-behind-the-app" });
    const probe = await customer();
    await ask(probe, "[[webhook:once]]");
    const { rows } = await relay.pool.query<{ amount: bigint }>("SELECT amount FROM ledger_holds WHERE wallet_id = $1", [probe.walletId]);
    held = rows[0]!.amount;
  });
  afterEach(async () => expect((await relay.ledger.verify()).differences).to.deep.equal([]));
  after(async () => {
    await Promise.all([relay?.close(), rig?.close()]);
    await dify?.close();
  });

  async function control(settings?: object): Promise<{ sent: Sent[] }> {
    const answer = await fetch(`${dify.url}/webhooks`, {
      method: settings ? "POST" : "GET",
      headers: { authorization: "Bearer x", "content-type": "application/json" },
      ...(settings ? { body: JSON.stringify(settings) } : {}),
    });
    return (await answer.json()) as { sent: Sent[] };
  }
  const customer = (options: CustomerOptions = {}) => relay.customer({ models: [app], userLimits: OPEN, ...options });

  /** Asks the app; the message's id, or the code of a refusal. */
  async function ask(who: Customer, directive: string, mode = "streaming"): Promise<{ message?: string; code?: string; text: string }> {
    const answer = await fetch(`${relay.url}/dify/v1/chat-messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${who.key}`, "content-type": "application/json" },
      body: JSON.stringify({ query: `Which way? ${directive}`, inputs: {}, user: "x", response_mode: mode }),
    });
    const text = await answer.text();
    if (answer.status !== 200) return { code: (JSON.parse(text) as { code: string }).code, text };
    return { message: /"message_id": ?"([^"]+)"/.exec(text)![1]!, text };
  }

  async function reported(messages: readonly string[]): Promise<Sent[]> {
    const wanted = new Set(messages);
    return waitFor(
      async () => {
        const { sent } = await control();
        const mine = sent.filter(({ message_id: id }) => wanted.has(id));
        return mine.length >= messages.length ? mine : undefined;
      },
      { timeoutMs: 60_000, message: "the webhooks" },
    ) as Promise<Sent[]>;
  }

  async function charges({ walletId }: Customer): Promise<number> {
    const { rows } = await relay.pool.query<{ n: number }>(
      "SELECT count(*)::integer AS n FROM ledger_settlements WHERE wallet_id = $1 AND charged > 0",
      [walletId],
    );
    return rows[0]!.n;
  }

  /** When everything is settled and nothing held: what the wallet has, and what counters say. */
  async function standing(who: Customer) {
    await waitFor(
      async () => {
        await relay.settle();
        return (await relay.balance(who)).held === "0";
      },
      { timeoutMs: 10_000, message: "nothing held" },
    );
    const { total, shortfall } = await relay.ledger.balance(who.walletId);
    const { rows } = await relay.pool.query<{ period: string; spent: bigint; held: bigint }>(
      "SELECT period, spent, held FROM ledger_budgets WHERE id IN ($1, $2) ORDER BY period",
      [`key:${who.keyId}`, `user:${who.userId}`],
    );
    return { total, shortfall, counters: rows.map(({ period, spent, held }) => [period.slice(0, 2), spent, held]) };
  }

  for (const [order, directive] of [
    ["before its relayed answer ends", "[[webhook:early]]"],
    ["at the very end of its relayed answer", "[[webhook:once]]"],
    ["twice at the very end", "[[webhook:twice]]"],
    ["when its relayed answer is long over", "[[webhook:late]]"],
  ] as const) {
    it(`${MESSAGES} messages, each reported ${order}: charged once each, counted once each, never owed`, async () => {
      const ada = await customer({
        credits: "1000000",
        keyLimits: { quota_requests: 100_000, quota_tokens: 1_000_000_000, spend_total: "900000" },
      });
      const messages: string[] = [];
      const webhooks: Sent[] = [];
      for (let from = 0; from < MESSAGES; from += AT_ONCE) {
        const answers = await Promise.all(Array.from({ length: Math.min(AT_ONCE, MESSAGES - from) }, () => ask(ada, directive)));
        const made = answers.map(({ message, text }) => message ?? expect.fail(text));
        webhooks.push(...(await reported(made)));
        messages.push(...made);
      }
      expect(webhooks.filter(({ status, body }) => status !== 200 || body.data?.pointsDeducted !== 93)).to.deep.equal([]);
      expect(new Set(messages).size).to.equal(MESSAGES);
      const { total, shortfall, counters } = await standing(ada);
      expect([total, shortfall]).to.deep.equal([1_000_000n * CREDIT - BigInt(MESSAGES) * COST, 0n]);
      expect(await charges(ada)).to.equal(MESSAGES);
      expect(counters).to.deep.equal([
        ["qr", BigInt(MESSAGES) * 100n, 0n],
        ["qt", BigInt(MESSAGES) * 230_000n, 0n],
        ["to", BigInt(MESSAGES) * COST, 0n],
      ]);
    });
  }

  for (const directive of ["[[webhook:early]]", "[[webhook:once]]", "[[webhook:late]]"]) {
    it(`a wallet that holds no more than this one call owes nothing and is not blocked: ${directive}`, async () => {
      const ada = await customer({ credits: formatCredits(held) });
      const { message, text } = await ask(ada, directive);
      const [sent] = await reported([message ?? expect.fail(text)]);
      expect([sent!.status, sent!.body.data?.pointsDeducted], JSON.stringify(sent)).to.deep.equal([200, 93]);
      const { total, shortfall } = await standing(ada);
      expect([total, shortfall]).to.deep.equal([held - COST, 0n]);
      expect(await charges(ada)).to.equal(1);
    });
  }

  it("a message that failed for its client is free when it is reported as complete", async () => {
    const ada = await customer({ keyLimits: { quota_requests: 1 } });
    const { message, text } = await ask(ada, "[[fault:error_in_band after=2]]");
    expect(text).to.match(/"event": ?"error"/);
    expect(await standing(ada)).to.deep.include({ total: 1_000n * CREDIT });
    const { status, body } = await rig.send(messageEnd({ user_id: `tk_${ada.userId}`, message_id: message }));
    expect([status, body.data.pointsDeducted]).to.deep.equal([200, 0]);
    expect(await standing(ada)).to.deep.equal({ total: 1_000n * CREDIT, shortfall: 0n, counters: [["qr", 0n, 0n]] });
  });

  it("a message that is made although its client left before it was named is free when it is reported", async () => {
    const ada = await customer();
    const leave = new AbortController();
    await dify.tell("[[usage:1500,800]] [[delay:300ms]] [[pace:20ms]] [[chunks:20]]");
    const call = fetch(`${relay.url}/dify/v1/chat-messages`, {
      method: "POST",
      signal: leave.signal,
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ query: "Which way?", inputs: {}, response_mode: "streaming" }),
    }).catch(() => undefined);
    await waitFor(async () => (await dify.calls(`tk_${ada.userId}`)).length === 1, { timeoutMs: 5_000, message: "Dify's request" });
    leave.abort();
    await call;
    const free = async () => {
      const { rows } = await relay.pool.query(
        "SELECT FROM usage_messages m JOIN usage_events e ON e.id = m.event_id WHERE m.free AND e.wallet_id = $1",
        [ada.walletId],
      );
      return rows.length === 1;
    };
    await waitFor(free, { timeoutMs: 5_000, message: "the relay's verdict" });
    expect((await standing(ada)).total).to.equal(1_000n * CREDIT);
    await dify.tell("[[usage:1500,800]] [[chunks:3]]");
  });

  for (const when of ["early", "once", "late"]) {
    it(`a message that waited for a person is reported with all it used, and both parts are charged once: ${when}`, async () => {
      const waiting = await relay.model([dify.url], { apiFormat: "dify", providers: [{ keys: ["app-chatflow-1"] }] });
      const ada = await relay.customer({ models: [waiting], userLimits: OPEN, keyLimits: { quota_requests: 100 } });
      try {
        await dify.tell("[[usage:300,200]] [[chunks:3]]");
        const { message, text } = await ask(ada, "[[outcome:paused]]");
        const token = /"form_token": ?"([^"]+)"/.exec(text)![1]!;
        await dify.tell(`[[usage:1500,800]] [[chunks:3]] [[webhook:${when}]]`);
        const answered = await fetch(`${relay.url}/dify/v1/form/human_input/${token}`, {
          method: "POST",
          headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
          body: JSON.stringify({ inputs: {}, action: "approve" }),
        });
        expect(answered.status).to.equal(200);
        const [sent] = await reported([message!]);
        expect([sent!.status, sent!.body.data?.pointsDeducted], JSON.stringify(sent)).to.deep.equal([200, 93]);
        const { total, shortfall, counters } = await standing(ada);
        expect([total, shortfall]).to.deep.equal([1_000n * CREDIT - COST, 0n]);
        expect(await charges(ada)).to.equal(2);
        expect(counters).to.deep.equal([["qr", 200n, 0n]]);
      } finally {
        await dify.tell("[[usage:1500,800]] [[chunks:3]]");
      }
    });
  }

  for (const [name, limits] of [
    ["a quota of 3 requests", { quota_requests: 3 }],
    ["a spend limit of 3 messages", { spend_total: "279" }],
  ] as const) {
    it(`a key with ${name} makes no more however they are reported, and its counter says what was charged`, async () => {
      const ada = await customer({ keyLimits: limits });
      let made = 0;
      for (let round = 0; round < 6; round++) {
        const answers = await Promise.all(["[[webhook:early]]", "[[webhook:once]]", "[[webhook:late]]"].map((how) => ask(ada, how)));
        const messages = answers.flatMap(({ message }) => message ?? []);
        made += messages.length;
        for (const { status, body } of await reported(messages)) expect([status, body.data?.pointsDeducted]).to.deep.equal([200, 93]);
        const refusals = new Set(answers.flatMap(({ code }) => code ?? []));
        for (const code of refusals) expect(code).to.match(/^(quota_exceeded|quota_on_hold|spend_limit_reached|spend_limit_on_hold)$/);
        await standing(ada);
      }
      const { total, shortfall, counters } = await standing(ada);
      // A call holds more than it costs: what is left of a spend limit may be too little for the last one.
      expect(made).to.be.within("quota_requests" in limits ? 3 : 2, 3);
      expect([total, shortfall]).to.deep.equal([1_000n * CREDIT - BigInt(made) * COST, 0n]);
      expect(counters).to.deep.equal([
        ["quota_requests" in limits ? "qr" : "to", "quota_requests" in limits ? BigInt(made) * 100n : BigInt(made) * COST, 0n],
      ]);
    });
  }
});
