import { expect } from "chai";
import { setTimeout as delay } from "node:timers/promises";
import OpenAI from "openai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import {
  answerOf,
  closed,
  completion,
  DONE,
  FULL,
  piece,
  REST,
  ROLE,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  streamOf,
  text,
  type Behaviour,
  type RawUpstream,
} from "./rawUpstream.ts";

/** TEST_SCALE=full sends 1,000 calls where otherwise some hundred do. */
const CALLS = process.env["TEST_SCALE"] === "full" ? 1_000 : 200;
const AT_ONCE = 20;

const hang: Behaviour = (socket) => closed(socket);
const good = streamOf(ROLE, text(REST), STOP, FULL, DONE);
const FAULTS: Record<string, Behaviour> = {
  "429": answerOf(429, "{}"),
  "408": answerOf(408, "{}"),
  "500": answerOf(500, "oops"),
  "529": answerOf(529, '{"error":{"message":"overloaded"}}'),
  "401": answerOf(401, '{"error":{"message":"bad key"}}'),
  "a page": answerOf(200, "<html>", "content-type: text/html"),
  "a closed socket": (socket) => void socket.destroy(),
  "a hanging provider": hang,
  "a stream cut after its greeting": (socket) => void socket.end(Buffer.concat([Buffer.from(STREAM_HEAD), piece(ROLE)])),
  "silence after its greeting": (socket) => {
    socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(ROLE)]));
    return closed(socket);
  },
  "an error as the first event": streamOf(`data: {"error":{"message":"overloaded"}}\n\n`),
};

interface Tried {
  provider: string;
  status: string;
  http_status?: number;
  error_code?: string;
  key?: string;
}

describe("a provider that fails before the client has seen anything", () => {
  const places = useStack();
  let relay: Relay;
  let first: RawUpstream;
  let second: RawUpstream;
  let ada: Customer;
  const timeouts = { first_byte_ms: 300, whole_ms: 300, idle_ms: 300, total_ms: 10_000 };

  before(async () => {
    [first, second] = await Promise.all([startRawUpstream(), startRawUpstream()]);
    relay = await startRelay(places, { RELAY_MAX_ATTEMPTS: "4", RELAY_RETRY_BASE: "5ms", RELAY_RETRY_PERCENT: "100" });
  });
  beforeEach(async () => {
    ada = await relay.customer({ credits: "100000" });
  });
  after(async () => {
    await relay?.close();
    await Promise.all([first?.close(), second?.close()]);
  });

  const messages = [{ role: "user" as const, content: "How much is the toll?" }];
  const openai = (on = relay) => new OpenAI({ apiKey: ada.key, baseURL: `${on.url}/v1`, maxRetries: 0 });

  async function stream(model: string, options: { signal?: AbortSignal } = {}, on = relay): Promise<string> {
    let said = "";
    const chunks = await openai(on).chat.completions.create({ model, messages, max_tokens: 900, stream: true }, options);
    for await (const chunk of chunks) said += chunk.choices[0]?.delta.content ?? "";
    return said;
  }

  async function attempts(): Promise<Tried[]> {
    const found = async () =>
      (
        await relay.pool.query<{ attempts: Tried[] }>("SELECT attempts FROM usage_events WHERE wallet_id = $1 ORDER BY id DESC LIMIT 1", [
          ada.walletId,
        ])
      ).rows[0];
    return (await waitFor(found, { timeoutMs: 5_000, message: "the record" })).attempts;
  }

  for (const [name, fault] of Object.entries(FAULTS)) {
    it(`${name}: the next one answers, and both attempts are on the record`, async () => {
      const model = await relay.model([first.url, second.url], { timeouts });
      first.behave(fault);
      second.behave(good);
      expect(await stream(model)).to.equal(REST);
      expect([first.requests.length, second.requests.length]).to.deep.equal([1, 1]);
      const [failed, ok] = await attempts();
      expect(failed).to.include({ status: "failed" });
      expect(failed!.error_code).to.match(/^upstream_/);
      expect(ok).to.include({ status: "ok", http_status: 200 });
      expect(failed!.provider).to.not.equal(ok!.provider);
      await relay.settle();
      expect(await relay.balance(ada)).to.deep.equal({ total: (100_000_000_000n - 93_000_000n).toString(), held: "0" });
    });
  }

  it("what the caller did wrong is not tried elsewhere", async () => {
    const model = await relay.model([first.url, second.url], { timeouts });
    first.behave(answerOf(400, '{"error":{"message":"bad temperature"}}'));
    second.behave(good);
    const error = await stream(model).catch((refused: unknown) => refused as { status?: number });
    expect(error).to.include({ status: 400 });
    expect([first.requests.length, second.requests.length]).to.deep.equal([1, 0]);
  });

  it("the only provider is asked again after a pause", async () => {
    const model = await relay.model([first.url], { timeouts });
    let calls = 0;
    first.behave((socket, request) => (++calls < 3 ? answerOf(503, "busy")(socket, request) : good(socket, request)));
    expect(await stream(model)).to.equal(REST);
    expect((await attempts()).map(({ status, http_status }) => [status, http_status])).to.deep.equal([
      ["failed", 503],
      ["failed", 503],
      ["ok", 200],
    ]);
  });

  it("but no more often than configured, and a hanging one only once", async () => {
    const model = await relay.model([first.url], { timeouts });
    first.behave(answerOf(500, "x"));
    expect(await stream(model).catch((error: unknown) => (error as { status: number }).status)).to.equal(502);
    expect(first.requests.length).to.equal(4);
    first.behave(hang);
    expect(await stream(model).catch((error: unknown) => (error as { status: number }).status)).to.equal(504);
    expect(first.requests.length).to.equal(1);
  });

  it("a whole answer has a time of its own until it is done, in which a stream would have begun", async () => {
    const model = await relay.model([first.url, second.url], { timeouts: { ...timeouts, whole_ms: 8_000 } });
    const slow: Behaviour = async (socket, request) => {
      await delay(900);
      if (!socket.destroyed) await (request.body["stream"] ? good : answerOf(200, completion(1_500, 800)))(socket, request);
    };
    first.behave(slow);
    second.behave(good);
    const answer = await openai().chat.completions.create({ model, messages, max_tokens: 900 });
    expect(answer.choices[0]!.message.content).to.equal("hello");
    expect([first.requests.length, second.requests.length]).to.deep.equal([1, 0]);
    await relay.settle();
    expect((await relay.balance(ada)).total).to.equal((100_000_000_000n - 93_000_000n).toString());
    expect(await stream(model)).to.equal(REST);
    expect([first.requests.length, second.requests.length]).to.deep.equal([2, 1]);
  });

  it("after the first content nothing is tried again: the client gets the error", async () => {
    const model = await relay.model([first.url, second.url], { timeouts });
    first.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(ROLE), piece(text("Hel"))]));
      socket.end();
    });
    second.behave(good);
    const error = await stream(model).catch((broken: unknown) => broken as { code?: string });
    expect(error).to.include({ code: "upstream_error" });
    expect(second.requests.length).to.equal(0);
  });

  /** Sends calls side by side; the first provider fails one in ten in the given ways. Answers what went wrong. */
  async function sendMany(on: Relay, faults: readonly Behaviour[]): Promise<string[]> {
    // Long enough that a busy machine is not taken for a hanging provider.
    const model = await on.model([first.url, second.url], { timeouts: { first_byte_ms: 2_000, idle_ms: 2_000 } });
    let seed = 7;
    const random = () => ((seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8) / 2 ** 24;
    first.behave((socket, request) => (random() < 0.1 ? faults[Math.floor(random() * faults.length)]! : good)(socket, request));
    second.behave(good);
    const answers: string[] = [];
    let started = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (started++ < CALLS) answers.push(await stream(model, {}, on).catch((error: unknown) => String(error)));
      }),
    );
    expect(answers).to.have.length(CALLS);
    return answers.filter((answer) => answer !== REST);
  }

  it(`one fault in ten at random: none of ${CALLS} calls fails while another provider is well`, async () => {
    const faults = Object.values(FAULTS).filter((fault) => fault !== FAULTS["401"]);
    expect(await sendMany(relay, faults)).to.deep.equal([]);
    expect(second.requests.length).to.be.within(CALLS * 0.05, CALLS * 0.16);
    await relay.settle();
    const charged = 100_000_000_000n - BigInt((await relay.balance(ada)).total);
    expect(charged).to.equal(BigInt(CALLS) * 93_000_000n);
    expect((await relay.ledger.verify()).balanced).to.equal(true);
  });

  it("nor with circuits and keys as they are in operation", async () => {
    const usual = { CIRCUIT_BREAKER: "true", PROVIDER_KEY_REST: "10m", PROVIDER_RATE_LIMIT_REST: "1s", RELAY_MAX_ATTEMPTS: "4" };
    const operated = await startRelay(places, usual);
    try {
      expect(await sendMany(operated, Object.values(FAULTS))).to.deep.equal([]);
    } finally {
      await operated.close();
    }
  });

  it("a client that leaves during the pause ends the call: nothing more is sent and nothing held", async () => {
    const slow = await startRelay(places, {
      RELAY_MAX_ATTEMPTS: "4",
      RELAY_RETRY_BASE: "60s",
      RELAY_RETRY_CAP: "60s",
      RELAY_RETRY_WITHIN: "10m",
    });
    try {
      const model = await slow.model([first.url], { timeouts });
      first.behave(answerOf(500, "x"));
      const controller = new AbortController();
      const client = new OpenAI({ apiKey: ada.key, baseURL: `${slow.url}/v1`, maxRetries: 0 });
      const call = client.chat.completions.create({ model, messages }, { signal: controller.signal }).catch(() => undefined);
      await waitFor(() => first.requests.length === 1, { timeoutMs: 3_000, message: "the request" });
      await waitFor(async () => (await relay.balance(ada)).held !== "0", { timeoutMs: 3_000, message: "the hold" });
      controller.abort();
      await call;
      await waitFor(async () => (await relay.balance(ada)).held === "0", { timeoutMs: 3_000, message: "nothing held" });
      await waitFor(() => slow.gateway.live === 0, { timeoutMs: 3_000, message: "the end of the call" });
      expect(first.requests.length).to.equal(1);
      expect((await attempts()).map(({ status }) => status)).to.deep.equal(["failed"]);
    } finally {
      await slow.close();
    }
  });

  it("a stop of the process ends the pause with the error at once", async () => {
    const slow = await startRelay(places, {
      RELAY_MAX_ATTEMPTS: "4",
      RELAY_RETRY_BASE: "60s",
      RELAY_RETRY_CAP: "60s",
      RELAY_RETRY_WITHIN: "10m",
    });
    try {
      const model = await slow.model([first.url], { timeouts });
      first.behave(answerOf(500, "x"));
      const client = new OpenAI({ apiKey: ada.key, baseURL: `${slow.url}/v1`, maxRetries: 0 });
      const call = client.chat.completions.create({ model, messages }).catch((error: unknown) => error as { status: number });
      await waitFor(() => first.requests.length === 1, { timeoutMs: 3_000, message: "the request" });
      await waitFor(async () => (await relay.balance(ada)).held !== "0", { timeoutMs: 3_000, message: "the hold" });
      const before = performance.now();
      const drained = slow.gateway.drain(30_000);
      expect(await call).to.include({ status: 502 });
      await drained;
      expect(performance.now() - before).to.be.lessThan(5_000);
    } finally {
      await slow.close();
    }
  });
});
