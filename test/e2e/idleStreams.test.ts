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
import { readSamples, total } from "../support/metrics.ts";
import { chatRequest, memoryOf, rawClient, scaled, type RawClient } from "./extremes.support.ts";

const STREAMS = scaled(5_000, 500);
const BYTES_EACH = 40 * 1_024;
/** The process grows once by the room that the collector gives to young objects; few streams must not pay for it alone. */
const GROWTH = scaled(0, 96 * 1_024 * 1_024);

const HEARTBEAT_MS = 2_000;
/** What a machine that runs nothing else keeps; others only print theirs. */
const FULL = scaled(1, 0) === 1;
const MOST_LAG_MS = 50;
const MOST_LATE_MS = 500;

const BEAT = ": keep-alive";

/** Times of the heartbeats that a client has read. */
function listen({ socket }: RawClient): number[] {
  const beats: number[] = [];
  socket.on("data", (chunk: Buffer) => {
    if (chunk.includes(BEAT)) beats.push(performance.now());
  });
  return beats;
}

/** By how much heartbeats came later than they should after the one before. */
const lateness = (beats: readonly number[]): number[] => beats.slice(1).map((at, i) => at - beats[i]! - HEARTBEAT_MS);

const p99 = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1]!;

describe(`${STREAMS} streams that fall silent`, () => {
  let at: Running;
  let upstream: RawUpstream;

  before(async () => {
    upstream = await startRawUpstream();
    at = await ownProduct({ env: { STREAM_HEARTBEAT: `${HEARTBEAT_MS}ms`, HOLD_TTL: "60s" } });
  });
  after(async () => {
    await at?.stack.stop();
    await upstream?.close();
  });

  it("are kept alive on time, cost little memory, leave the process free, and are charged exactly when they end", async function () {
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

    const lagMs = async (): Promise<number> =>
      1_000 * total(readSamples(await (await fetch(at.metrics.api!)).text()), "nodejs_eventloop_lag_p99_seconds");
    // Reading it begins it anew: what is read next is the lag while all are silent.
    await lagMs();
    const beats = clients.map(listen);
    await waitFor(() => beats.every((times) => times.length >= 3), { timeoutMs: 30_000, message: "three heartbeats for everyone" });
    const figures = { lagMs: await lagMs(), lateMs: p99(beats.flatMap(lateness)) };
    console.log(
      `      ${STREAMS} silent streams: event loop lag p99 ${figures.lagMs.toFixed(1)} ms, heartbeats late p99 ${figures.lateMs.toFixed(0)} ms`,
    );
    if (FULL) {
      expect(figures.lagMs, "event loop lag, p99 in ms").to.be.below(MOST_LAG_MS);
      expect(figures.lateMs, "heartbeats late, p99 in ms").to.be.below(MOST_LATE_MS);
    }
    speak();
    await waitFor(() => clients.every((client) => client.said().includes("[DONE]")), { timeoutMs: 60_000, message: "every stream to end" });
    for (const client of clients) client.socket.destroy();
    expect(await settledBalance(ada, 60_000)).to.include({ total: "0", available: "0", held: "0" });
    await proveLedger(admin);
    expect(each, "bytes a stream").to.be.below(BYTES_EACH);
  });
});
