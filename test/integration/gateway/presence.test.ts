import { expect } from "chai";
import net from "node:net";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { closed, DONE, LAST_PIECE, piece, startRawUpstream, STOP, STREAM_HEAD, text, usage, type RawUpstream } from "./rawUpstream.ts";

describe("a client that closes its half of the connection", () => {
  const places = useStack();
  let upstream: RawUpstream;
  let relay: Relay;
  let model: string;
  let ada: Customer;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places, { STREAM_HEARTBEAT: "60s" });
    model = await relay.model([upstream.url]);
  });
  beforeEach(async () => {
    ada = await relay.customer();
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  /** Sends one request and closes this half; `leave` closes the other too. */
  function ask(stream: boolean): { said(): string; closed: Promise<void>; leave(): void } {
    const body = JSON.stringify({ model, stream, max_tokens: 100, messages: [{ role: "user", content: "hi" }] });
    const { hostname, port } = new URL(relay.url);
    const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    let said = "";
    socket.on("data", (chunk) => (said += chunk.toString()));
    socket.on("error", () => undefined);
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer ${ada.key}\r\n`;
    socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    return {
      said: () => said,
      closed: new Promise((resolve) => socket.on("end", resolve)),
      leave: () => socket.destroy(),
    };
  }

  async function charged(): Promise<bigint> {
    await waitFor(async () => (await relay.balance(ada)).held === "0" || relay.gateway.live === 0, {
      timeoutMs: 5_000,
      message: "the call to end",
    });
    await relay.settle();
    return 1_000_000_000n - BigInt((await relay.balance(ada)).total);
  }

  it("still gets the whole of its stream", async () => {
    let goOn = (): void => undefined;
    const looked = new Promise<void>((resolve) => (goOn = resolve));
    upstream.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      await looked;
      socket.write(Buffer.concat([piece(text(" again")), piece(STOP), piece(usage(1500, 800)), piece(DONE), LAST_PIECE]));
    });
    const client = ask(true);
    await waitFor(() => client.said().split("\n:\n").length > 3, { timeoutMs: 5_000, message: "the client to be looked for" });
    goOn();
    await client.closed;
    expect(client.said()).to.match(/Hello[^]* again[^]*\[DONE\]/);
    expect(await charged()).to.equal(93_000_000n);
  });

  it("still gets a whole answer, behind nothing but 100 Continue", async () => {
    let goOn = (): void => undefined;
    const looked = new Promise<void>((resolve) => (goOn = resolve));
    upstream.behave(async (socket) => {
      await looked;
      const answer = JSON.stringify({
        choices: [{ message: { content: "Hello" } }],
        usage: { prompt_tokens: 1500, completion_tokens: 800, total_tokens: 2300 },
      });
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`);
    });
    const client = ask(false);
    await waitFor(() => client.said().split("100 Continue").length > 3, { timeoutMs: 5_000, message: "the client to be looked for" });
    goOn();
    await client.closed;
    expect(client.said()).to.match(/^(HTTP\/1\.1 100 Continue\r\n\r\n)+HTTP\/1\.1 200 OK\r\n[^]*"Hello"/);
    expect(await charged()).to.equal(93_000_000n);
  });

  for (const stream of [true, false]) {
    it(`and then leaves is noticed, and the provider told to stop (${stream ? "stream" : "whole answer"})`, async () => {
      upstream.behave((socket) => {
        if (stream) socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
        return closed(socket);
      });
      const before = upstream.aborted;
      const client = ask(stream);
      await waitFor(() => client.said().includes(stream ? "Hello" : "100 Continue"), {
        timeoutMs: 5_000,
        message: "the call to be under way",
      });
      client.leave();
      await waitFor(() => upstream.aborted === before + 1, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
      const cost = await charged();
      if (stream) expect(cost > 0n && cost < 93_000_000n, `charged ${cost}`).to.equal(true);
      else expect(cost).to.equal(0n);
    });
  }
});
