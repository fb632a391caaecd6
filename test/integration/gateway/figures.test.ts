import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import {
  answerOf,
  closed,
  DONE,
  piece,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  streamOf,
  text,
  usage,
  type RawUpstream,
} from "./rawUpstream.ts";

interface Figures {
  requests: number;
  tokens: number;
  charged: bigint;
}

/** Far from being reached: what is asked is what they have counted. */
const WIDE = { requests_per_minute: 1_000_000, tokens_per_minute: 1_000_000_000, max_parallel: 1_000 };

describe("what limits have counted", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;

  before(async () => {
    relay = await startRelay(places);
    upstream = await startRawUpstream();
  });
  after(() => Promise.all([relay.close(), upstream.close()]));

  async function ask(customer: Customer, model: string, body: object, leaveAfter?: string): Promise<void> {
    const leaving = new AbortController();
    const answer = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 500, messages: [{ role: "user", content: "How many?" }], ...body }),
      signal: leaving.signal,
    });
    if (leaveAfter === undefined) return void (await answer.text().catch(() => undefined));
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) if (chunk.includes(leaveAfter)) break;
    leaving.abort();
  }

  /** Counters in Redis, over the window that runs and the one before. */
  async function counted(of: string): Promise<Pick<Figures, "requests" | "tokens">> {
    const read = async (suffix: string) => {
      const keys = (await relay.redis.keys(`*${of}:*`)).filter((key) => key.endsWith(`${of}:${suffix}`));
      expect(keys, `counter of ${of}:${suffix}`).to.have.length(1);
      const [, current, previous] = (await relay.redis.get(keys[0]!))!.split(" ").map(Number) as [number, number, number];
      return current + previous;
    };
    return { requests: await read("r"), tokens: await read("t") };
  }

  async function recorded(customer: Customer): Promise<Figures> {
    const { rows } = await relay.pool.query<{ requests: bigint; tokens: string; charged: string }>(
      `SELECT count(*) AS requests, sum(cost) AS charged, sum(input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens
         + output_tokens + reasoning_tokens) FILTER (WHERE billable) AS tokens FROM usage_events WHERE user_id = $1 AND settled_at IS NOT NULL`,
      [customer.userId],
    );
    return { requests: Number(rows[0]!.requests), tokens: Number(rows[0]!.tokens), charged: BigInt(rows[0]!.charged) };
  }

  it("is what was recorded and charged: answers, counted ones, failures, and clients that leave", async () => {
    const model = await relay.model([upstream.url], { maxOutput: 500 });
    const customer = await relay.customer({ userLimits: WIDE, keyLimits: WIDE });
    const before = BigInt((await relay.balance(customer)).total);

    upstream.behave(
      answerOf(200, JSON.stringify({ choices: [{ message: { content: "a" } }], usage: { prompt_tokens: 301, completion_tokens: 40 } })),
    );
    await ask(customer, model, {});
    upstream.behave(streamOf(text("one"), STOP, usage(77, 13), DONE));
    await ask(customer, model, { stream: true });
    upstream.behave(streamOf(text("one two three four"), STOP, DONE));
    await ask(customer, model, { stream: true });
    upstream.behave(answerOf(500, "{}"));
    await ask(customer, model, {});
    upstream.behave((socket) => void socket.end(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("one two three"))])));
    await ask(customer, model, { stream: true });
    upstream.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      socket.write(piece(text("one two three")));
      await closed(socket);
    });
    await ask(customer, model, { stream: true }, "three");

    const shown = await waitFor(
      async () => {
        await relay.settle();
        const figures = await recorded(customer);
        return figures.requests === 6 ? figures : undefined;
      },
      { message: "six settled calls" },
    );
    expect(shown!.tokens).to.be.greaterThan(301 + 40 + 77 + 13);
    for (const of of [`{u:${customer.userId}}`, `k:${customer.keyId}`]) {
      await waitFor(async () => (await counted(of)).tokens === shown!.tokens, { message: "the last correction" });
      expect(await counted(of)).to.deep.equal({ requests: 6, tokens: shown!.tokens });
    }
    expect(before - BigInt((await relay.balance(customer)).total)).to.equal(shown!.charged);
  });
});
