import { expect } from "chai";
import { useStack, waitFor } from "../../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "../harness.ts";
import { answerOf, hang, startRawUpstream, type RawUpstream } from "../rawUpstream.ts";

const COMPLETED = JSON.stringify({
  id: "resp_1",
  object: "response",
  status: "completed",
  output: [],
  usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
});

describe("a kept response that is being read", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;
  let ada: Customer;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places), startRawUpstream()]);
    model = await relay.model([upstream.url]);
  });
  beforeEach(async () => {
    ada = await relay.customer({ userLimits: { max_parallel: 1, requests_per_minute: 100 } });
    upstream.behave(answerOf(200, COMPLETED));
    expect((await ask("POST", "")).status).to.equal(200);
    await relay.settle();
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  function ask(method: "GET" | "POST", path: string, signal?: AbortSignal): Promise<Response> {
    return fetch(`${relay.url}/v1/responses${path}`, {
      method,
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
      ...(method === "POST" ? { body: JSON.stringify({ model, input: "Which way?", max_output_tokens: 20 }) } : {}),
      ...(signal ? { signal } : {}),
    });
  }
  /** In an object, or it would be awaited here. */
  async function reading(signal?: AbortSignal): Promise<{ read: Promise<Response | undefined> }> {
    upstream.behave(hang);
    const read = ask("GET", "/resp_1", signal).catch(() => undefined);
    await waitFor(() => upstream.requests.length === 1, { timeoutMs: 3_000, message: "the provider to be asked" });
    return { read };
  }

  it("has a place among the caller's calls at once, and loses it and the provider's connection when the client leaves", async () => {
    const leaving = new AbortController();
    const { read } = await reading(leaving.signal);
    expect((await ask("GET", "/resp_1")).status).to.equal(429);
    leaving.abort();
    await read;
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "the provider's connection to close" });
    upstream.behave(answerOf(200, COMPLETED));
    await waitFor(async () => (await ask("GET", "/resp_1")).status === 200, { timeoutMs: 3_000, message: "the place to return" });
  });

  it("comes as the provider sends it, and breaks off when the provider does", async () => {
    let goOn = (): void => undefined;
    const more = new Promise<void>((resolve) => (goOn = resolve));
    upstream.behave(async (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n");
      for (const part of ['{"id":', '"resp_1",']) {
        socket.write(part);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await more;
      socket.destroy();
    });
    const answer = await ask("GET", "/resp_1");
    expect([answer.status, answer.headers.get("content-length")]).to.deep.equal([200, "1000"]);
    const reader = answer.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).to.equal('{"id":');
    goOn();
    const broken = await reader.read().catch((error: unknown) => error);
    expect(broken).to.be.instanceOf(Error);
    upstream.behave(answerOf(200, COMPLETED));
    await waitFor(async () => (await ask("GET", "/resp_1")).status === 200, { timeoutMs: 3_000, message: "the place to return" });
  });

  it("may be of any length, whatever the client's pace", async () => {
    const piece = Buffer.alloc(1024 * 1024, "x");
    const count = 80;
    let written = 0;
    upstream.behave(async (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${count * piece.length}\r\n\r\n`);
      for (; written < count; written++) {
        if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
      }
    });
    const answer = await ask("GET", "/resp_1");
    await waitFor(() => relay.gateway.live === 0 && written > 0, { timeoutMs: 3_000, message: "the provider to begin" });
    expect(written, "pieces sent before the client reads").to.be.below(count);
    expect((await answer.arrayBuffer()).byteLength).to.equal(count * piece.length);
  });

  it("is of a model that the key may use", async () => {
    await relay.pool.query("UPDATE api_keys SET models = '{another}' WHERE id = $1", [ada.keyId]);
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', $1)", [`api_key:${ada.keyId}`]);
    const refused = await waitFor(
      async () => {
        const answer = await ask("GET", "/resp_1");
        return answer.status === 200 ? undefined : answer;
      },
      { timeoutMs: 2_000, message: "the key to be narrowed" },
    );
    expect([refused!.status, ((await refused!.json()) as { error: { code: string } }).error.code]).to.deep.equal([
      403,
      "model_not_allowed",
    ]);
  });

  it("is ended by a shutdown, which waits for it", async () => {
    const { read } = await reading();
    await relay.gateway.drain(100);
    const answer = (await read)!;
    expect([answer.status, answer.headers.get("retry-after")]).to.deep.equal([503, "1"]);
    await waitFor(() => upstream.aborted === 1, { timeoutMs: 3_000, message: "the provider's connection to close" });
  });
});
