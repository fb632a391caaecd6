import http from "node:http";
import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { request } from "../../support/people.ts";
import { connect, refusal, type Client } from "./client.ts";
import { createWorld, startLive, wsOf, type LiveRig } from "./rig.ts";

const ready = (client: Client) => waitFor(() => client.messages.some(({ type }) => type === "ready"));

describe("live push", () => {
  const places = useStack();
  const world = createWorld();
  let one: LiveRig;
  let two: LiveRig;

  before(async () => {
    one = await startLive(places.redisUrl, world, { mostConnections: 5 });
    two = await startLive(places.redisUrl, world, { mostConnections: 5 });
  });
  after(() => Promise.all([one.close(), two.close()]));

  const person = () => uuidv7();
  const ticketOf = async (userId: string): Promise<string> => {
    const { status, body } = await request<{ ticket: string; expires_in: number }>(one.url, "POST", "/api/live/tickets", {
      token: userId,
      body: {},
    });
    expect(status).to.equal(201);
    expect(body.data.expires_in).to.equal(30);
    return body.data.ticket;
  };

  it("opens one connection with a ticket, at any copy, and no second one", async () => {
    const me = person();
    const ticket = await ticketOf(me);
    const client = await connect(`${two.url}/ws?ticket=${ticket}`);
    await ready(client);
    expect(client.messages[0]).to.include({ type: "hello", id: null });
    expect(await refusal(`${one.url}/ws?ticket=${ticket}`)).to.deep.equal({ status: 401, code: "unauthenticated" });
    client.break();
  });

  it("keeps no ticket readable in Redis", async () => {
    const ticket = await ticketOf(person());
    const keys = await one.redis.keys("*");
    const all = await Promise.all(keys.map(async (key) => key + (await one.redis.get(key).catch(() => ""))));
    expect(all.join()).not.to.include(ticket);
    expect(keys.some((key) => key.includes(":ticket:"))).to.equal(true);
  });

  it("reaches all connections of a person on all copies, in order, and nobody else", async () => {
    const [me, other] = [person(), person()];
    const mine = await Promise.all([connect(wsOf(one, me)), connect(wsOf(one, me)), connect(wsOf(two, me))]);
    const theirs = await connect(wsOf(two, other));
    await Promise.all([...mine, theirs].map(ready));
    for (let i = 0; i < 250; i++) {
      const rig = i % 5 === 4 ? two : one;
      rig.publish({ userId: me, type: "task.progress", data: { task_id: "t", user_id: me, progress: i } });
    }
    await waitFor(() => mine.every(({ events }) => events.length === 250));
    const [first, ...others] = mine.map(({ events }) => events);
    for (const events of others) expect(events).to.deep.equal(first);
    const from = (rest: (i: number) => boolean) => first!.map(({ data }) => data["progress"] as number).filter(rest);
    expect(from((i) => i % 5 !== 4)).to.deep.equal([...Array(250).keys()].filter((i) => i % 5 !== 4));
    expect(Object.keys(first![0]!)).to.deep.equal(["type", "id", "time", "data"]);
    expect(theirs.events).to.deep.equal([]);
    for (const client of [...mine, theirs]) client.break();
  });

  it("tells everybody what is for everybody, also who comes back", async () => {
    const people = [person(), person()];
    const [a, b] = await Promise.all([connect(wsOf(one, people[0]!)), connect(wsOf(two, people[1]!))]);
    await Promise.all([a, b].map(ready));
    const before = b.messages.find(({ type }) => type === "ready")!.id!;
    b.break();
    one.publish({ userId: null, type: "notice", data: { message: "tonight" } });
    await waitFor(() => a.events.length === 1);
    const back = await connect(wsOf(one, people[1]!), { lastEventId: before });
    await ready(back);
    expect(back.events).to.deep.equal(a.events);
    for (const client of [a, back]) client.break();
  });

  it("goes on behind the last event at another copy, without gaps and repetitions", async () => {
    const me = person();
    const first = await connect(wsOf(one, me));
    await ready(first);
    const tell = (from: number, to: number): void => {
      for (let i = from; i < to; i++) (i % 2 ? one : two).publish({ userId: me, type: "task.log", data: { task_id: "t", line: i } });
    };
    tell(0, 50);
    await waitFor(() => first.events.length === 50);
    first.break();
    tell(50, 1_050);
    const second = await connect(wsOf(two, me), { lastEventId: first.lastEventId });
    tell(1_050, 1_100);
    await waitFor(() => second.events.length >= 1_050);
    await ready(second);
    const lines = [...first.events, ...second.events].map(({ data }) => data["line"] as number);
    expect([...lines].sort((a, b) => a - b)).to.deep.equal([...Array(1_100).keys()]);
    const ids = [...first.events, ...second.events].map(({ id }) => id);
    expect(new Set(ids).size).to.equal(1_100);
    expect(second.messages.find(({ type }) => type === "ready")!.data).to.deep.equal({ resumed: true, complete: true });
    second.break();
  });

  it("says plainly when what was missed is no longer there", async () => {
    const me = person();
    const old = `${Date.now() - 12 * 60_000}-1`;
    const late = await connect(wsOf(one, me), { lastEventId: old });
    await ready(late);
    expect(late.messages.find(({ type }) => type === "gap")!.data).to.deep.equal({ reason: "too_long_ago", from: old });
    const ahead = await connect(wsOf(one, me), { lastEventId: `${Date.now() + 60_000}-1` });
    await ready(ahead);
    expect(ahead.messages.find(({ type }) => type === "gap")!.data["reason"]).to.equal("lost");
    one.publish({ userId: me, type: "notice", data: { message: "after" } });
    await waitFor(() => late.events.length === 2 && ahead.events.length === 2);
    for (const client of [late, ahead]) client.break();
  });

  it("keeps no more events than it may, and says so to who missed some", async () => {
    const me = person();
    const small = await startLive(places.redisUrl, world, { keepMost: 100 });
    const client = await connect(wsOf(small, me));
    await ready(client);
    const from = client.messages.find(({ type }) => type === "ready")!.id!;
    for (let i = 0; i < 300; i++) small.publish({ userId: me, type: "task.log", data: { task_id: "t", line: i } });
    await waitFor(() => client.events.length === 300);
    expect(await small.redis.xlen(`tollkeeper:{live}:user:${me}`)).to.be.at.most(100);
    const back = await connect(wsOf(small, me), { lastEventId: from });
    await ready(back);
    expect(back.events.map(({ type, data }) => [type, data["reason"]])).to.deep.equal([["gap", "too_many"]]);
    const close = await connect(wsOf(small, me), { lastEventId: client.events.at(-5)!.id! });
    await ready(close);
    expect(close.events.map(({ data }) => data["line"])).to.deep.equal([296, 297, 298, 299]);
    for (const each of [client, back, close]) each.break();
    await small.close();
  });

  it("sends only the topics that are wanted, and other people's are not there", async () => {
    const [me, other, mine, theirs] = [person(), person(), uuidv7(), uuidv7()];
    world.tasks.set(mine, me).set(theirs, other);
    expect(await refusal(wsOf(one, me, `&topics=task:${theirs}`))).to.deep.equal({ status: 404, code: "not_found" });
    const client = await connect(wsOf(one, me, `&topics=task:${mine}`));
    await ready(client);
    const answers = () => client.messages.filter(({ type }) => type === "subscribed" || type === "error");
    client.say({ action: "subscribe", topics: ["balance", `task:${theirs}`] });
    client.say({ action: "subscribe", topics: ["nonsense"] });
    client.say({ action: "subscribe", topics: ["notices"] });
    client.say("{");
    client.say({ action: "ping" });
    await waitFor(() => answers().length === 4);
    expect(answers().map(({ data }) => data["code"] ?? data["topics"])).to.have.deep.members([
      "not_found",
      "not_found",
      [`task:${mine}`, "notices"],
      "validation_failed",
    ]);
    one.publish({ userId: me, type: "task.status", data: { task_id: uuidv7(), status: "queued" } });
    one.publish({ userId: me, type: "balance", data: { available: "1" } });
    one.publish({ userId: me, type: "notice", data: { message: "hello" } });
    one.publish({ userId: me, type: "task.status", data: { task_id: mine, status: "queued" } });
    await waitFor(() => client.events.length === 2);
    expect(client.events.map(({ type }) => type)).to.deep.equal(["notice", "task.status"]);
    expect(client.messages.some(({ type }) => type === "pong")).to.equal(true);
    client.break();
  });

  it("gives one person so many connections on all copies together, and gives places back", async () => {
    const me = person();
    const clients = await Promise.all([0, 1, 2, 3, 4].map((i) => connect(wsOf(i % 2 ? one : two, me))));
    expect(await refusal(wsOf(one, me))).to.deep.equal({ status: 429, code: "rate_limited" });
    const { body } = await request<{ connections: number; limit: number }>(one.url, "GET", "/api/live/stats", { token: me });
    expect(body.data).to.deep.equal({ connections: 5, limit: 5 });
    clients[0]!.break();
    const again = await waitFor(() => connect(wsOf(one, me)).catch(() => undefined));
    for (const client of [...clients, again]) client.break();
  });

  it("ends connections of sessions that have ended within a second", async () => {
    const me = person();
    const client = await connect(wsOf(one, me));
    await ready(client);
    world.ended.add(me);
    const began = Date.now();
    world.announce(me);
    await waitFor(() => client.closed);
    expect(client.closed).to.deep.equal({ code: 4401, reason: "signed_out" });
    expect(Date.now() - began).to.be.below(1_000);
    expect((await refusal(wsOf(one, me))).status).to.equal(401);
  });

  it("refuses pages of other origins", async () => {
    const me = person();
    expect(await refusal(wsOf(one, me), { origin: "https://evil.example" })).to.deep.equal({ status: 403, code: "forbidden" });
    for (const origin of ["https://api.example.com", one.url]) (await connect(wsOf(one, me), { origin })).break();
  });

  it("drops a client that sends too much, or something too large", async () => {
    const noisy = await connect(wsOf(one, person()));
    for (let i = 0; i < 60; i++) noisy.say({ action: "ping" });
    const large = await connect(wsOf(one, person()));
    large.say("x".repeat(9_000));
    await waitFor(() => noisy.closed && large.closed);
    expect(noisy.closed).to.deep.equal({ code: 4429, reason: "too_many_messages" });
    expect(large.closed!.code).to.equal(1009);
  });

  it("says of /ws that it is a WebSocket, and serves who would merely like HTTP/2 as if they had not asked", async () => {
    expect((await fetch(`${one.url}/ws`)).status).to.equal(426);
    const answer = await new Promise<string>((resolve, reject) => {
      const headers = {
        connection: "Upgrade, HTTP2-Settings",
        upgrade: "h2c",
        "http2-settings": "AAMAAABkAAQAoAAAAAIAAAAA",
        "content-type": "text/plain",
      };
      const req = http.request(`${one.url}/echo`, { method: "POST", headers }, (res) => {
        let text = "";
        res.on("data", (piece) => (text += String(piece)));
        res.on("end", () => resolve(`${res.statusCode} ${text}`));
      });
      req.on("error", reject);
      req.end("x".repeat(70_000));
    });
    expect(answer).to.equal(`200 ${"x".repeat(70_000)}`);
  });
});
