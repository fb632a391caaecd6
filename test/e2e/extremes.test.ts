import { expect } from "chai";
import {
  closed,
  DONE,
  LAST_PIECE,
  piece,
  startRawUpstream,
  STOP,
  STREAM_HEAD,
  text,
  usage,
  type RawUpstream,
} from "../integration/gateway/rawUpstream.ts";
import { customer, operator, pricedModel, proveLedger, settledBalance, type Person } from "../support/people.ts";
import { ownProduct, waitFor, type Product as Running } from "../support/stack.ts";
import { chatRequest, memoryOf, rawClient, scaled } from "./extremes.support.ts";

const MB = 1_024 * 1_024;

describe("requests and answers at the edge", () => {
  let at: Running;
  let upstream: RawUpstream;
  let admin: Person;
  let ada: Person & { key: string };
  let model: string;

  before(async () => {
    upstream = await startRawUpstream();
    at = await ownProduct({ env: { UPSTREAM_IDLE_TIMEOUT: "3s" } });
    admin = await operator(at);
    model = await pricedModel(admin, upstream.url);
  });
  beforeEach(async () => {
    ada = await customer(at, admin, { credits: "1000000" });
  });
  after(async () => {
    await at?.stack.stop();
    await upstream?.close();
  });

  const ask = (more: object = {}): Promise<Response> =>
    fetch(`${at.api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
      body: JSON.stringify({ model, stream: true, max_tokens: 100, messages: [{ role: "user", content: "hi" }], ...more }),
    });
  const spent = async (): Promise<number> => 1_000_000 - Number((await settledBalance(ada)).total);
  const api = (): number => at.stack.part("api").pid!;

  it("a prompt of 10 MB arrives whole and is charged as the provider counts it", async () => {
    let got = 0;
    upstream.behave((socket, request) => {
      got = JSON.stringify(request.body["messages"]).length;
      socket.write(
        Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("ok")), piece(STOP), piece(usage(1500, 800)), piece(DONE), LAST_PIECE]),
      );
    });
    const content = "The toll of the bridge is one coin. ".repeat((10 * MB) / 36);
    const answer = await ask({ messages: [{ role: "user", content }] });
    expect(await answer.text()).to.contain("[DONE]");
    expect(got).to.be.above(content.length);
    expect(await spent()).to.equal(93);
  });

  it("10,000 tiny events arrive in order", async () => {
    upstream.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      for (let n = 0; n < 10_000; n++)
        if (!socket.write(piece(text(`${n},`)))) await new Promise((resolve) => socket.once("drain", resolve));
      socket.write(Buffer.concat([piece(STOP), piece(usage(1500, 800)), piece(DONE), LAST_PIECE]));
    });
    const said = await (await ask()).text();
    const numbers = [...said.matchAll(/"content":"(\d+),"/g)].map((match) => Number(match[1]));
    expect(numbers).to.deep.equal(Array.from({ length: 10_000 }, (_, n) => n));
    expect(await spent()).to.equal(93);
  });

  it("an event of nearly 8 MB passes, a larger one fails the call and costs nothing", async () => {
    const stream = (bytes: number) =>
      upstream.behave((socket) => {
        socket.write(
          Buffer.concat([
            Buffer.from(STREAM_HEAD),
            piece(text("x".repeat(bytes))),
            piece(STOP),
            piece(usage(1500, 800)),
            piece(DONE),
            LAST_PIECE,
          ]),
        );
      });
    stream(8 * MB - 1_024);
    expect((await (await ask()).text()).length).to.be.above(8 * MB - 1_024);
    expect(await spent()).to.equal(93);
    stream(8 * MB + 1_024);
    const refused = await ask();
    expect(refused.status).to.equal(502);
    expect(await spent()).to.equal(93);
  });

  it("1 GB declared is refused before it is sent", async () => {
    const client = rawClient(
      at,
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ada.key}\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n{"model":"${"x".repeat(1_000)}`,
    );
    await client.closed;
    expect(client.said()).to.match(/^HTTP\/1\.1 413 /);
    expect(await spent()).to.equal(0);
  });

  it("a body that stops half way, and headers that never end, hold nothing and keep nobody else waiting", async () => {
    const half = rawClient(at, chatRequest(ada.key, { model, messages: [{ role: "user", content: "hi" }] }).slice(0, -10));
    const slow = Array.from({ length: 50 }, () => rawClient(at, "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: "));
    const drip = setInterval(() => {
      for (const { socket } of slow) socket.write("a");
    }, 100);
    try {
      upstream.behave((socket) => {
        socket.write(
          Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("ok")), piece(STOP), piece(usage(1500, 800)), piece(DONE), LAST_PIECE]),
        );
      });
      expect(await (await ask()).text()).to.contain("[DONE]");
      // Node looks every 30 s for requests whose headers are late.
      await Promise.all(slow.map(({ closed }) => closed));
    } finally {
      clearInterval(drip);
      half.socket.destroy();
      for (const { socket } of slow) socket.destroy();
    }
    expect(await spent()).to.equal(93);
  }).timeout(90_000);

  it("a client that reads nothing keeps less than 1 MB here, and its provider waiting", async () => {
    const clients = scaled(40, 10);
    let offered = 0;
    upstream.behave(async (socket) => {
      socket.write(STREAM_HEAD);
      const event = piece(text("x".repeat(16 * 1_024)));
      while (!socket.destroyed && offered < clients * 64 * MB) {
        offered += event.length;
        if (!socket.write(event)) await new Promise<void>((resolve) => void (socket.once("drain", resolve), socket.once("close", resolve)));
      }
      await closed(socket);
    });
    const request = chatRequest(ada.key, { model, stream: true, max_tokens: 1_000, messages: [{ role: "user", content: "hi" }] });
    const before = memoryOf(api());
    const deaf = Array.from({ length: clients }, () => {
      const client = rawClient(at, request);
      client.socket.pause();
      return client;
    });
    let peak = 0;
    let last = -1;
    await waitFor(
      () => {
        peak = Math.max(peak, memoryOf(api()) - before);
        const still = offered === last && offered > 0;
        last = offered;
        return still && upstream.requests.length === clients;
      },
      { timeoutMs: 20_000, message: "providers to be paused" },
    );
    expect(peak / clients).to.be.below(MB);
    await waitFor(() => upstream.aborted === clients, { timeoutMs: 20_000, message: "clients that read nothing to be given up" });
    for (const { socket } of deaf) socket.destroy();
    expect((await settledBalance(ada)).held).to.equal("0");
  });

  it(`${scaled(100, 30)} streams cut, repeated and spoilt at random: no crash, no charge without a proper end`, async () => {
    const whole = Buffer.from([text("Hello"), text(" wörld"), STOP, usage(1500, 800), DONE].join(""));
    let random = 20_261;
    const next = (below: number): number => (random = (random * 48_271) % 2_147_483_647) % below;
    const spoil = (): Buffer => {
      const parts: Buffer[] = [];
      for (let i = 0; i < 4; i++) {
        const from = next(whole.length);
        parts.push(whole.subarray(next(2) === 0 ? 0 : from, next(3) === 0 ? whole.length : from));
      }
      const bytes = Buffer.concat(parts);
      for (let n = next(4); n > 0; n--) if (bytes.length > 0) bytes[next(bytes.length)] = next(256);
      return bytes;
    };
    let complete = 0;
    for (let n = 0; n < scaled(100, 30); n++) {
      const bytes = spoil();
      upstream.behave(async (socket) => {
        socket.write(STREAM_HEAD);
        for (let at = 0; at < bytes.length;) {
          const size = 1 + next(64);
          socket.write(piece(bytes.subarray(at, at + size)));
          at += size;
          if (next(8) === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        socket.write(LAST_PIECE);
      });
      const answer = await ask();
      const said = await answer.text();
      if (answer.status === 200 && said.trimEnd().endsWith("[DONE]")) complete += 1;
      else expect(said, `case ${n}`).to.contain('"error"');
    }
    const charged = await spent();
    expect(charged <= complete * 93, `${charged} credits for ${complete} complete answers`).to.equal(true);
    expect(at.stack.part("api").pid).to.be.a("number");
    await proveLedger(admin);
  });
});
