import { expect } from "chai";
import { MOST_OF_KEY } from "../../../src/gateway/limits/permitQueue.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, completion, startRawUpstream, type RawUpstream } from "./rawUpstream.ts";

const WAIT_MS = 1_500;

describe("a call that finds no place among its caller's calls at once", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;
  let ada: Customer;
  /** Lets the provider answer what it was asked until then and from then on. */
  let answer: () => void;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places, { PERMIT_WAIT: `${WAIT_MS}ms` }), startRawUpstream()]);
    model = await relay.model([upstream.url]);
  });
  beforeEach(async () => {
    ada = await relay.customer({ userLimits: { max_parallel: 1, requests_per_minute: 1_000 } });
    const told = new Promise<void>((resolve) => (answer = resolve));
    upstream.behave(async (socket, request) => {
      await told;
      await answerOf(200, completion(10, 5))(socket, request);
    });
  });
  afterEach(async () => {
    answer();
    await waitFor(() => relay.gateway.live === 0, { timeoutMs: 5_000, message: "every call to end" });
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  function ask(signal?: AbortSignal): Promise<Response> {
    return fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
      ...(signal ? { signal } : {}),
    });
  }
  const live = (count: number) => waitFor(() => relay.gateway.live === count, { timeoutMs: 3_000, message: `${count} calls` });
  /** A call that has the only place; in an object, or it would be awaited here. */
  async function running(): Promise<{ first: Promise<Response> }> {
    const first = ask();
    await waitFor(() => upstream.requests.length === 1, { timeoutMs: 3_000, message: "the first call" });
    return { first };
  }

  it("waits for one, and counts once", async () => {
    const { first } = await running();
    const second = ask();
    await live(2);
    answer();
    const [one, two] = [await first, await second];
    expect([one.status, two.status]).to.deep.equal([200, 200]);
    expect(two.headers.get("x-ratelimit-remaining-requests")).to.equal("998");
  });

  it("is refused when the time is over", async () => {
    const { first } = await running();
    const sinceMs = performance.now();
    const second = await ask();
    expect([second.status, second.headers.get("retry-after")]).to.deep.equal([429, "1"]);
    expect(performance.now() - sinceMs).to.be.at.least(WAIT_MS - 1);
    answer();
    expect((await first).status).to.equal(200);
  });

  it("is refused at once when enough of the key's wait, until one of those leaves", async () => {
    const { first } = await running();
    const leaving = Array.from({ length: MOST_OF_KEY }, () => new AbortController());
    const waiting = leaving.map(({ signal }) => ask(signal).catch(() => undefined));
    await live(1 + MOST_OF_KEY);
    const sinceMs = performance.now();
    expect((await ask()).status).to.equal(429);
    expect(performance.now() - sinceMs).to.be.below(WAIT_MS);
    for (const client of leaving) client.abort();
    await Promise.all(waiting);
    await live(1);
    const next = ask();
    await live(2);
    answer();
    expect([(await first).status, (await next).status]).to.deep.equal([200, 200]);
  });
});
