import { expect } from "chai";
import { useStack, waitFor } from "../../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "../harness.ts";
import { answerOf, closed, hang, piece, startRawUpstream, STREAM_HEAD, type Behaviour, type RawUpstream } from "../rawUpstream.ts";

const TASK = "5f0f7a3c-9d1e-4b57-8c9e-0123456789ab";
const MESSAGE = { event: "message", task_id: TASK, message_id: "m-1", conversation_id: "c-1", answer: "Hello", created_at: 1 };

describe("a route of Dify's that costs nothing", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let ada: Customer;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places), startRawUpstream()]);
  });
  beforeEach(async () => {
    const model = await relay.model([upstream.url], { apiFormat: "dify" });
    ada = await relay.customer({ models: [model], userLimits: { max_parallel: 1, requests_per_minute: 100 } });
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  const ask = (path: string, body?: object, signal?: AbortSignal): Promise<Response> =>
    fetch(`${relay.url}/dify/v1${path}`, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${ada.key}`, ...(body ? { "content-type": "application/json" } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    });
  /** In an object, or it would be awaited here. */
  async function reading(signal?: AbortSignal): Promise<{ read: Promise<Response | undefined> }> {
    upstream.behave(hang);
    const read = ask("/parameters", undefined, signal).catch(() => undefined);
    await waitFor(() => upstream.requests.length === 1, { timeoutMs: 3_000, message: "Dify to be asked" });
    return { read };
  }

  it("has a place among the caller's calls at once, and loses it and Dify's connection when the client leaves", async () => {
    const leaving = new AbortController();
    const { read } = await reading(leaving.signal);
    const refused = await ask("/info");
    expect([refused.status, refused.headers.get("retry-after")]).to.deep.equal([429, "1"]);
    leaving.abort();
    await read;
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "Dify's connection to close" });
    upstream.behave(answerOf(200, "{}"));
    await waitFor(async () => (await ask("/info")).status === 200, { timeoutMs: 3_000, message: "the place to return" });
    expect((await ask("/info")).status, "right after another").to.equal(200);
  });

  it("that stops an answer needs no place: the answer has it", async () => {
    const behave: Behaviour = async (socket, request) => {
      if (request.head.includes("/stop")) return answerOf(200, '{"result":"success"}')(socket, request);
      socket.write(STREAM_HEAD);
      socket.write(piece(`data: ${JSON.stringify(MESSAGE)}\n\n`));
      return closed(socket);
    };
    upstream.behave(behave);
    const leaving = new AbortController();
    const body = { inputs: {}, query: "Which way?", user: "u", response_mode: "streaming" };
    const answer = await ask("/chat-messages", body, leaving.signal);
    expect(answer.status).to.equal(200);
    expect((await ask("/info")).status).to.equal(429);
    expect((await ask(`/chat-messages/${TASK}/stop`, { user: "u" })).status).to.equal(200);
    leaving.abort();
    await waitFor(() => relay.gateway.live === 0, { timeoutMs: 5_000, message: "the call to end" });
  });

  it("counts as a request when what it asks is refused", async () => {
    upstream.behave(answerOf(200, "{}"));
    expect((await ask("/messages")).status).to.equal(400);
    expect((await ask("/info")).headers.get("x-ratelimit-remaining-requests")).to.equal("98");
  });

  it("is ended by a shutdown, which waits for it", async () => {
    const { read } = await reading();
    await relay.gateway.drain(100);
    const answer = (await read)!;
    expect([answer.status, answer.headers.get("retry-after")]).to.deep.equal([503, "1"]);
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "Dify's connection to close" });
  });
});
