import { expect } from "chai";
import { startCopies, startCountingUpstream, type Copies, type CountingUpstream } from "../chaos/copies.ts";
import { eventsOf, openStream, type Stream } from "../integration/monitor/client.ts";
import { request, type Person } from "../support/people.ts";
import { waitFor } from "../support/waitFor.ts";

interface Rates {
  second: string;
  calls: { ok: number; failed: number; client_gone: number };
  refused: Record<string, number>;
  tokens: { input: number; output: number };
  cost: string;
}

describe("the operators' live monitor", () => {
  let copies: Copies;
  let upstream: CountingUpstream;
  let ada: Person & { key: string };
  let model: string;
  let other: string;
  const open: Stream[] = [];

  before(async function () {
    this.timeout(120_000);
    copies = await startCopies({ MONITOR_STREAMS: "4" });
    upstream = await startCountingUpstream();
    [model, other] = [await copies.model(upstream.url), await copies.model(upstream.url)];
    ada = await copies.customer();
  });
  afterEach(() => {
    for (const stream of open.splice(0)) stream.close();
  });
  after(() => Promise.all([copies?.destroy(), upstream?.close()]));

  async function listen(copy: number, query = "", lastEventId?: string): Promise<Stream> {
    const stream = await openStream(`${copies.urls[copy]!}/api/admin/monitor/stream${query}`, { token: copies.admin.token, lastEventId });
    open.push(stream);
    return stream;
  }

  const call = (copy: number, id: string, name = model) =>
    fetch(`${copies.urls[copy]!}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}`, "x-request-id": id },
      body: JSON.stringify({ model: name, max_tokens: 10, messages: [{ role: "user", content: "Hello" }] }),
    }).then(async (response) => void (await response.text()));

  const requestsOf = (stream: Stream) => eventsOf(stream).map(({ request_id }) => request_id);
  const ratesOf = (stream: Stream) => stream.messages.filter(({ event }) => event === "rates").map(({ data }) => data as Rates);

  it("shows listeners at both copies the same calls, refusals and rates, and first how the system is", async () => {
    const both = [await listen(0), await listen(1)];
    for (const { status, messages } of both) {
      expect(status).to.equal(200);
      await waitFor(() => messages.length > 0);
      expect(messages[0]!.event).to.equal("hello");
      expect((messages[0]!.data as { status: string }).status).to.be.oneOf(["up", "degraded"]);
      expect((messages[0]!.data as { parts: object }).parts).to.have.all.keys("postgres", "redis", "temporal", "disk", "providers");
    }
    // Of the second in which it begins a listener is told no rates.
    for (const stream of both) await waitFor(() => ratesOf(stream).length > 0);
    await Promise.all(Array.from({ length: 20 }, (_, i) => call(i % 2, `both-${i}`)));
    await call(0, "both-refused", "no-such-model");
    for (const stream of both) await waitFor(() => requestsOf(stream).filter((id) => id?.startsWith("both-")).length === 21);
    expect(eventsOf(both[0]!).map(({ id }) => id)).to.deep.equal(eventsOf(both[1]!).map(({ id }) => id));

    const counted = (stream: Stream) => ratesOf(stream).reduce((sum, { calls, refused }) => sum + calls.ok + (refused["request"] ?? 0), 0);
    for (const stream of both) await waitFor(() => counted(stream) === 21);
    const bySecond = (stream: Stream) => new Map(ratesOf(stream).map((rates) => [rates.second, rates]));
    const [one, two] = both.map(bySecond) as [Map<string, Rates>, Map<string, Rates>];
    const shared = [...one.keys()].filter((second) => two.has(second));
    expect(shared.length).to.be.greaterThan(0);
    // How many calls are under way changes with who has just been heard of; all sums are the same.
    const sums = (rates: Rates | undefined) => ({ ...rates, live: 0 });
    for (const second of shared) expect(sums(one.get(second))).to.deep.equal(sums(two.get(second)));
    const tokens = ratesOf(both[0]!).reduce((sum, { tokens }) => sum + tokens.input + tokens.output, 0);
    expect(tokens).to.equal(20 * 8);
  });

  it("goes on behind the last event that a client has seen, at another copy too, without a gap and without a repetition", async () => {
    const first = await listen(0);
    await call(0, "seen-1");
    await waitFor(() => requestsOf(first).includes("seen-1"));
    first.close();
    for (let i = 2; i <= 30; i++) await call(i % 2, `seen-${i}`);
    const second = await listen(1, "", first.lastEventId);
    await call(0, "seen-31");
    await waitFor(() => requestsOf(second).includes("seen-31"));
    const seen = [...requestsOf(first), ...requestsOf(second)].filter((id) => id?.startsWith("seen-"));
    expect(seen.toSorted()).to.deep.equal(Array.from({ length: 31 }, (_, i) => `seen-${i + 1}`).toSorted());
    expect(second.messages.some(({ event }) => event === "gap")).to.equal(false);
  });

  it("says so when what was missed is no longer there", async () => {
    const stream = await listen(0, "?last_event_id=1000-0");
    const gap = await waitFor(() => stream.messages.find(({ event }) => event === "gap"));
    expect(gap.data).to.deep.include({ reason: "too_long_ago", from: "1000-0" });
  });

  it("shows only what was asked for", async () => {
    const mine = await listen(0, `?user=${ada.id}&model=${other.toUpperCase()}`);
    const refused = await listen(1, "?status=refused");
    const signIns = await listen(1, "?kind=sign_in,key.created");
    await call(0, "filter-1", model);
    await call(1, "filter-2", other);
    await call(1, "filter-3", "no-such-model");
    await request(copies.urls[0]!, "POST", "/api/auth/login", {
      body: { email: ada.email, password: "wrong" },
      headers: { "x-request-id": "filter-4" },
    });
    await waitFor(() => requestsOf(signIns).includes("filter-4") && requestsOf(refused).includes("filter-3"));
    await waitFor(() => requestsOf(mine).includes("filter-2"));
    const filtered = [mine, refused, signIns].map((stream) => requestsOf(stream).filter((id) => id?.startsWith("filter-")));
    expect(filtered).to.deep.equal([["filter-2"], ["filter-3"], ["filter-4"]]);
    for (const query of ["?kind=nothing", "?surprise=1", "?status=good", "?last_event_id=yesterday"])
      expect((await listen(0, query)).status, query).to.equal(400);
  });

  it("is for operators: with a token, or with a ticket that works once", async () => {
    const url = `${copies.urls[1]!}/api/admin/monitor/stream`;
    expect((await openStream(url)).status).to.equal(401);
    expect((await openStream(url, { token: ada.token })).status).to.equal(403);
    expect((await openStream(url, { token: ada.key })).status).to.equal(403);
    expect((await ada.call("POST", "/api/admin/monitor/tickets")).status).to.equal(403);
    expect((await ada.call("GET", "/api/admin/monitor")).status).to.equal(403);
    const { ticket, expires_in } = await copies.admin.post<{ ticket: string; expires_in: number }>("/api/admin/monitor/tickets");
    expect(expires_in).to.equal(30);
    const stream = await openStream(`${url}?ticket=${ticket}`);
    open.push(stream);
    expect(stream.status).to.equal(200);
    expect((await openStream(`${url}?ticket=${ticket}`)).status).to.equal(401);
  });

  it("lets one operator have so many streams on all copies together", async () => {
    const streams = [await listen(0), await listen(1), await listen(0), await listen(1)];
    expect(streams.map(({ status }) => status)).to.deep.equal([200, 200, 200, 200]);
    const fifth = await listen(0);
    expect(fifth.status).to.equal(429);
    await waitFor(() => fifth.body().includes("rate_limited"));
    streams[1]!.close();
    await waitFor(async () => (await listen(0)).status === 200);
  });

  it("ends when its operator is no longer one, with the reason", async () => {
    const person = await copies.customer();
    await copies.admin.patch(`/api/admin/users/${person.id}`, { roles: ["user", "operator"] });
    const stream = await waitFor(async () => {
      const stream = await openStream(`${copies.urls[1]!}/api/admin/monitor/stream`, { token: person.token });
      return stream.status === 200 ? stream : undefined;
    });
    await copies.admin.patch(`/api/admin/users/${person.id}`, { roles: ["user"] });
    await waitFor(() => stream.ended);
    expect(stream.messages.at(-1)).to.deep.include({ event: "bye", data: { reason: "signed_out" } });
  });

  it("is shown as one answer too", async () => {
    await call(0, "snapshot-1");
    const snapshot = await waitFor(async () => {
      const found = await copies.admin.get<{ last_minute: { calls: { ok: number } }; settlement: { waiting: number } }>(
        "/api/admin/monitor",
      );
      return found.last_minute.calls.ok > 0 ? found : undefined;
    });
    expect(snapshot).to.have.all.keys("at", "status", "parts", "settlement", "last_minute", "queues", "live", "listeners");
    expect(snapshot.settlement.waiting).to.be.greaterThan(0);
  });

  it("goes on when Redis was away, and calls never notice", async () => {
    const stream = await listen(0);
    await call(0, "away-1");
    await waitFor(() => requestsOf(stream).includes("away-1"));
    await copies.killRedis();
    await call(0, "away-2");
    await copies.startRedis();
    await waitFor(async () => {
      await call(0, "away-3");
      return requestsOf(stream).includes("away-3");
    });
    expect(stream.ended).to.equal(false);
  });

  it("says goodbye when its copy stops", async () => {
    const stream = await listen(1);
    await copies.stacks[1]!.part("api").stop();
    await waitFor(() => stream.ended);
    expect(stream.messages.at(-1)).to.deep.include({ event: "bye", data: { reason: "shutdown" } });
  });
});
