import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import {
  answerOf,
  closed,
  completion,
  DONE,
  piece,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  streamOf,
  text,
  type Behaviour,
  type RawUpstream,
} from "./rawUpstream.ts";

/** 2 dollars per 1000 tokens in, 4 out. */
const COST = { input: "2", output: "4", currency: "USD" } as const;

interface Kept {
  status: string;
  http_status?: number;
  error_code?: string;
  tokens?: { input: number; output: number };
  cost: string;
}

describe("what a call cost us", () => {
  const places = useStack();
  let relay: Relay;
  let first: RawUpstream;
  let second: RawUpstream;

  before(async () => {
    relay = await startRelay(places, { RELAY_MAX_ATTEMPTS: "2" });
    [first, second] = [await startRawUpstream(), await startRawUpstream()];
  });
  after(() => Promise.all([relay.close(), first.close(), second.close()]));

  /** Asks with a prompt of some tokens, and leaves when told to. */
  async function call(model: string, customer: Customer, body: object, leave?: { after: string }) {
    const controller = new AbortController();
    const answer = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 1_000, messages: [{ role: "user", content: "How many ways are there?" }], ...body }),
      signal: controller.signal,
    });
    if (!leave) return void (await answer.text().catch(() => undefined));
    let seen = "";
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      seen += chunk;
      if (seen.includes(leave.after)) break;
    }
    controller.abort();
  }
  const recorded = async (customer: Customer) => {
    const row = await waitFor(
      async () =>
        (await relay.pool.query("SELECT * FROM usage_events WHERE wallet_id = $1", [customer.walletId])).rows[0] as object | undefined,
      { message: "the record" },
    );
    return row as {
      attempts: Kept[];
      upstream_cost: bigint | null;
      estimated_input_tokens: number;
      output_tokens: bigint;
      billable: boolean;
    };
  };

  it("is recorded with the provider's prices of that moment", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(answerOf(200, completion(1_500, 500)));
    await call(model, customer, {});
    const row = await recorded(customer);
    expect(row).to.include({ upstream_cost: 5_000_000n, upstream_currency: "USD" });
    expect(row.attempts).to.have.length(1);
    expect(row.attempts[0]).to.include({
      upstream_model: "upstream-model",
      status: "ok",
      http_status: 200,
      cost: "5000000",
      currency: "USD",
    });
    expect(row.attempts[0]).not.to.have.any.keys("tokens", "error_code");
  });

  it("is not known when the provider's prices are not", async () => {
    const model = await relay.model([first.url]);
    const customer = await relay.customer();
    first.behave(answerOf(200, completion(10, 10)));
    await call(model, customer, {});
    const row = await recorded(customer);
    expect(row).to.include({ upstream_cost: null, upstream_currency: null });
    expect(row.attempts[0]).to.include({ status: "ok" }).and.not.have.any.keys("cost", "currency");
  });

  /** What the first provider does, and what it bills for it: nothing, the prompt as counted, or the prompt and what had come. */
  const faults: [string, Behaviour, "nothing" | "prompt"][] = [
    ["an error status", answerOf(500, "{}"), "nothing"],
    ["a rate limit", answerOf(429, "{}"), "nothing"],
    ["a closed connection", (socket) => void socket.destroy(), "nothing"],
    ["silence", (socket) => closed(socket), "prompt"],
    ["an answer that cannot be read", answerOf(200, "{]"), "prompt"],
  ];
  for (const [what, behaviour, bills] of faults) {
    it(`of ${what} is ${bills}, beside the answer of the next provider`, async () => {
      const model = await relay.model([first.url, second.url], { cost: COST, timeouts: { first_byte_ms: 200, whole_ms: 200 } });
      const customer = await relay.customer();
      first.behave(behaviour);
      second.behave(answerOf(200, completion(100, 10)));
      await call(model, customer, {});
      const row = await recorded(customer);
      const prompt = row.estimated_input_tokens;
      expect(prompt).to.be.greaterThan(5);
      const [failed, answered] = row.attempts as [Kept, Kept];
      expect(row.attempts).to.have.length(2);
      expect(failed.status).to.equal("failed");
      expect(failed.cost).to.equal(String(bills === "nothing" ? 0 : prompt * 2_000));
      expect(failed.tokens).to.deep.equal(bills === "nothing" ? undefined : { input: prompt, output: 0 });
      expect(answered).to.include({ status: "ok", cost: "240000" });
      expect(row.upstream_cost).to.equal(BigInt(failed.cost) + 240_000n);
    });
  }

  it("of a stream that breaks off is the prompt and what had come, though nothing is charged", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      socket.write(piece(text("one two three four five six seven")));
      await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
    });
    await call(model, customer, { stream: true });
    const row = await recorded(customer);
    expect(row.billable).to.equal(false);
    const [broken] = row.attempts as [Kept];
    expect(Number(row.output_tokens)).to.be.greaterThan(3);
    expect(broken).to.include({ status: "failed", error_code: "upstream_closed" });
    expect(broken.cost).to.equal(String(row.estimated_input_tokens * 2_000 + Number(row.output_tokens) * 4_000));
  });

  it("of a stream that its client leaves is the prompt and what had come, beside the same sale", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      socket.write(piece(text("one two three four five six seven")));
      await closed(socket);
    });
    await call(model, customer, { stream: true }, { after: "seven" });
    const row = await recorded(customer);
    expect(row.billable).to.equal(true);
    const [left] = row.attempts as [Kept];
    expect(left).to.include({ status: "gone", error_code: "client_gone" });
    expect(left.cost).to.equal(String(row.estimated_input_tokens * 2_000 + Number(row.output_tokens) * 4_000));
  });

  it("of an answer beyond its cap, whose usage the provider does not say, counts all of it, and the charge the cap", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave(streamOf(text("one two three four five six seven"), STOP, DONE));
    await call(model, customer, { stream: true, max_tokens: 3 });
    const row = await recorded(customer);
    const [long] = row.attempts as [Kept];
    expect(Number(row.output_tokens)).to.equal(3);
    expect(long.tokens!.output).to.be.greaterThan(6);
    expect(long.cost).to.equal(String(row.estimated_input_tokens * 2_000 + long.tokens!.output * 4_000));
  });

  it("of an answer that its client did not wait for is the prompt, though nothing is charged", async () => {
    const model = await relay.model([first.url], { cost: COST });
    const customer = await relay.customer();
    first.behave((socket) => closed(socket));
    const controller = new AbortController();
    const asked = fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "How many ways are there?" }] }),
      signal: controller.signal,
    }).catch(() => undefined);
    await waitFor(() => first.requests.length === 1);
    controller.abort();
    await asked;
    const row = await recorded(customer);
    expect(row.billable).to.equal(false);
    const [left] = row.attempts as [Kept];
    expect(left.status).to.equal("gone");
    expect(left.cost).to.equal(String(row.estimated_input_tokens * 2_000));
  });
});
