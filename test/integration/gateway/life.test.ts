import { expect } from "chai";
import http from "node:http";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { startProxy, type Proxy } from "./proxy.ts";
import {
  closed,
  DONE,
  LAST_PIECE,
  piece,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  streamOf,
  text,
  usage,
  type RawUpstream,
} from "./rawUpstream.ts";

/** How long the sweep leaves an expired hold to its owner, see `ledger_sweep_holds`. */
const SWEEP_GRACE_MS = 15_000;

describe("the life of a call", () => {
  const places = useStack();
  let upstream: RawUpstream;
  let proxy: Proxy;
  let relay: Relay;
  let model: string;
  let ada: Customer;

  beforeEach(async () => {
    upstream = await startRawUpstream();
    proxy = await startProxy(places.databaseUrl);
    relay = await startRelay(
      { ...places, databaseUrl: proxy.url },
      { STREAM_HEARTBEAT: "200ms", HOLD_TTL: "900ms", UPSTREAM_IDLE_TIMEOUT: "5s" },
    );
    model = await relay.model([upstream.url]);
    ada = await relay.customer();
  });
  afterEach(async () => {
    proxy?.mend();
    await relay?.close();
    await proxy?.close();
    await upstream?.close();
  });

  const call = (more: object = {}, signal?: AbortSignal): Promise<Response> =>
    fetch(`${relay.url}/v1/chat/completions`, {
      ...(signal && { signal }),
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
      body: JSON.stringify({ model, stream: true, max_tokens: 100, messages: [{ role: "user", content: "hi" }], ...more }),
    });

  it("a long stream keeps its hold: the sweep never takes it", async () => {
    let goOn = (): void => undefined;
    const longEnough = new Promise<void>((resolve) => (goOn = resolve));
    upstream.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      await longEnough;
      socket.write(Buffer.concat([piece(STOP), piece(usage(1500, 800)), piece(DONE), LAST_PIECE]));
    });
    const answer = call().then((response) => response.text());
    const deadline = Date.now() + 2_300;
    await waitFor(
      async () => {
        // As the sweep will see it when the time that it leaves owners to come back is over.
        expect(await relay.ledger.sweep(new Date(Date.now() + SWEEP_GRACE_MS))).to.deep.equal([]);
        return Date.now() > deadline;
      },
      { timeoutMs: 5_000, message: "the stream to be long" },
    );
    goOn();
    expect(await answer).to.match(/\[DONE\]\n\n$/);
    await relay.settle();
    expect(await relay.balance(ada)).to.deep.equal({ total: "907000000", held: "0" });
  });

  it("without Postgres a call is refused clearly and soon", async () => {
    upstream.behave(streamOf(text("a"), STOP, usage(1, 1), DONE));
    await (await call()).text();
    proxy.cut();
    const began = Date.now();
    const response = await call();
    expect(response.status).to.equal(503);
    expect(((await response.json()) as { error: { code: string } }).error.code).to.equal("unavailable");
    expect(response.headers.get("retry-after")).to.not.equal(null);
    expect(Date.now() - began).to.be.lessThan(3_000);
    expect(upstream.requests).to.have.length(1);
    proxy.mend();
    await waitFor(async () => (await call()).status === 200, { timeoutMs: 8_000, message: "service to return" });
  });

  it("when Postgres goes away during a call its end waits, with heartbeats, until the charge is durable", async () => {
    let end = (): void => undefined;
    upstream.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      await new Promise<void>((resolve) => (end = resolve));
      socket.write(Buffer.concat([piece(STOP), piece(usage(1500, 800)), piece(DONE), LAST_PIECE]));
    });
    const response = await call();
    let said = "";
    const reading = (async () => {
      for await (const bytes of response.body!) said += Buffer.from(bytes as Uint8Array).toString();
    })();
    await waitFor(() => said.includes("Hello"), { timeoutMs: 3_000, message: "the first words" });
    proxy.cut();
    end();
    await waitFor(() => /"stop".*(: keep-alive\n\n){2}$/s.test(said), { timeoutMs: 5_000, message: "heartbeats" });
    expect(said).to.not.contain("[DONE]");
    proxy.mend();
    await reading;
    expect(said).to.match(/\[DONE\]\n\n$/);
    await relay.settle();
    expect((await relay.balance(ada)).total).to.equal("907000000");
  });

  it("a shutdown refuses new calls, waits for running ones, then ends them with an error and releases their holds", async () => {
    upstream.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      return closed(socket);
    });
    const running = await Promise.all(Array.from({ length: 5 }, () => call()));
    const texts = running.map((response) => response.text());
    const drained = relay.gateway.drain(400);
    const late = await call();
    expect([late.status, late.headers.get("connection"), late.headers.get("retry-after")]).to.deep.equal([503, "close", "1"]);
    await drained;
    for (const said of await Promise.all(texts)) {
      expect(said).to.contain("Hello");
      expect(said.trimEnd().split("\n\n").at(-1)).to.match(/^data: \{"error":\{"message":"The server is restarting/);
    }
    expect(relay.gateway.live).to.equal(0);
    expect(await relay.balance(ada)).to.deep.equal({ total: "1000000000", held: "0" });
    await waitFor(() => upstream.aborted === 5, { timeoutMs: 3_000, message: "the provider to be told" });
  });

  it("a client that leaves pays for what it was given, though the provider counted before it had begun", async () => {
    const early = { usage: { prompt_tokens: 5, completion_tokens: 0, total_tokens: 5 } };
    upstream.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello", early)), piece(text(" there".repeat(200)))]));
      return closed(socket);
    });
    const leaving = new AbortController();
    const response = await call({ max_tokens: 900 }, leaving.signal);
    let said = "";
    const reading = (async () => {
      for await (const bytes of response.body!) said += Buffer.from(bytes as Uint8Array).toString();
    })().catch(() => undefined);
    await waitFor(() => said.includes("there there"), { timeoutMs: 3_000, message: "the words" });
    leaving.abort();
    await reading;
    const event = await waitFor(() => relay.lastEvent(ada), { timeoutMs: 3_000, message: "the record" });
    expect(event).to.include({ status: "client_gone", estimated: true, input_tokens: 5n });
    expect(Number(event.output_tokens)).to.be.within(195, 205);
  });

  it("a client that reads nothing slows its provider down, and is gone after the idle time", async function () {
    this.timeout(30_000);
    let sent = 0;
    upstream.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      const event = piece(text("x".repeat(60_000)));
      while (!socket.destroyed) {
        sent += event.length;
        if (!socket.write(event)) await new Promise<void>((resolve) => (socket.once("drain", resolve), socket.once("close", resolve)));
      }
    });
    const req = http.request(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
    });
    req.on("error", () => undefined);
    req.on("response", (res) => {
      res.pause();
      res.on("error", () => undefined);
    });
    req.end(JSON.stringify({ model, stream: true, max_tokens: 100, messages: [{ role: "user", content: "hi" }] }));
    await waitFor(async () => (await relay.lastEvent(ada))?.status === "client_gone", {
      timeoutMs: 15_000,
      message: "the client to be given up",
    });
    // What fits into the sockets' buffers on both sides, not what a provider could send in five seconds.
    expect(sent).to.be.lessThan(30_000_000);
    req.destroy();
    await relay.settle();
    const { total, held } = await relay.balance(ada);
    expect(held).to.equal("0");
    // Never above the cap: 100 tokens at 60 per 1000, and the prompt.
    expect(1_000_000_000n - BigInt(total)).to.equal(6_000_000n + 240_000n);
  });

  it("nothing is left behind by clients that come and go at any moment", async () => {
    upstream.behave(streamOf(text("a"), text("b"), STOP, usage(3, 2), DONE));
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), i / 2);
        await fetch(`${relay.url}/v1/chat/completions`, {
          method: "POST",
          signal: controller.signal,
          headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
          body: JSON.stringify({ model, stream: i % 2 === 0, max_tokens: 10, messages: [{ role: "user", content: "hi" }] }),
        })
          .then(
            (response) => response.text(),
            () => undefined,
          )
          .catch(() => undefined);
      }),
    );
    await waitFor(() => relay.gateway.live === 0, { timeoutMs: 10_000, message: "no call to be left" });
    await relay.settle();
    await waitFor(async () => (await relay.balance(ada)).held === "0", { timeoutMs: 5_000, message: "nothing to be held" });
    expect((await relay.ledger.verify()).balanced).to.equal(true);
  });
});
