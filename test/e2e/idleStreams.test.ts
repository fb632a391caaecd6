import { expect } from "chai";
import {
  startRawUpstream,
  DONE,
  LAST_PIECE,
  piece,
  STOP,
  STREAM_HEAD,
  text,
  usage,
  type RawUpstream,
} from "../integration/gateway/rawUpstream.ts";
import { customer, operator, pricedModel, proveLedger, settledBalance } from "../support/people.ts";
import { ownProduct, waitFor, type Product as Running } from "../support/stack.ts";
import { chatRequest, memoryOf, rawClient, scaled, type RawClient } from "./extremes.support.ts";

const STREAMS = scaled(5_000, 500);
const BYTES_EACH = 40 * 1_024;
/** The process grows once by the room that the collector gives to young objects; few streams must not pay for it alone. */
const GROWTH = scaled(0, 96 * 1_024 * 1_024);

describe(`${STREAMS} streams that fall silent`, () => {
  let at: Running;
  let upstream: RawUpstream;

  before(async () => {
    upstream = await startRawUpstream();
    at = await ownProduct({ env: { STREAM_HEARTBEAT: "2s", HOLD_TTL: "60s" } });
  });
  after(async () => {
    await at?.stack.stop();
    await upstream?.close();
  });

  it("are kept alive, cost little memory, and are charged exactly when they end", async function () {
    this.timeout(180_000);
    const admin = await operator(at);
    const model = await pricedModel(admin, upstream.url);
    const ada = await customer(at, admin, { credits: String(STREAMS * 93) });
    const api = at.stack.part("api").pid!;

    let speak = (): void => undefined;
    const told = new Promise<void>((resolve) => (speak = resolve));
    upstream.behave(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      await told;
      socket.write(Buffer.concat([piece(STOP), piece(usage(1500, 800)), piece(DONE), LAST_PIECE]));
    });
    const request = chatRequest(ada.key, { model, stream: true, max_tokens: 1, messages: [{ role: "user", content: "hi" }] });

    const warm = rawClient(at, request);
    await waitFor(() => warm.said().includes("Hello"), { timeoutMs: 10_000, message: "the first stream to begin" });
    const before = memoryOf(api);
    const clients: RawClient[] = [warm];
    while (clients.length < STREAMS) {
      const some = Array.from({ length: Math.min(50, STREAMS - clients.length) }, () => rawClient(at, request));
      clients.push(...some);
      await waitFor(() => some.every((client) => client.said().includes("Hello")), { timeoutMs: 30_000, message: "streams to begin" });
    }
    const each = (memoryOf(api) - before - GROWTH) / (STREAMS - 1);

    const beats = (client: RawClient): number => client.said().split(": keep-alive").length - 1;
    await waitFor(() => clients.every((client) => beats(client) >= 2), { timeoutMs: 30_000, message: "two heartbeats for everyone" });
    speak();
    await waitFor(() => clients.every((client) => client.said().includes("[DONE]")), { timeoutMs: 60_000, message: "every stream to end" });
    for (const client of clients) client.socket.destroy();
    expect(await settledBalance(ada, 60_000)).to.include({ total: "0", available: "0", held: "0" });
    await proveLedger(admin);
    expect(each, "bytes a stream").to.be.below(BYTES_EACH);
  });
});
