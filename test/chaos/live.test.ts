import { expect } from "chai";
import { connect, type Client } from "../integration/live/client.ts";
import { request, type Person } from "../support/people.ts";
import { waitFor } from "../support/stack.ts";
import { startCopies, type Copies } from "./copies.ts";

const TOLD = 100;

describe("live push on two copies", function () {
  this.timeout(120_000);
  let copies: Copies;
  let ada: Person;

  before(async () => {
    copies = await startCopies();
    ada = await copies.customer();
  });
  after(() => copies.destroy());

  async function open(copy: number, who: Person, lastEventId?: string): Promise<Client> {
    const client = await connect(`${copies.urls[copy]}/ws?token=${who.token}`, { lastEventId });
    await waitFor(() => client.messages.some(({ type }) => type === "ready"), { timeoutMs: 10_000 });
    return client;
  }
  /** An operator tells these numbers by one copy. */
  async function tell(copy: number, from: number, to: number): Promise<void> {
    for (let no = from; no < to; no++) {
      const body = { user_id: ada.id, message: String(no) };
      const { status } = await request(copies.urls[copy]!, "POST", "/api/admin/live/notices", { token: copies.admin.token, body });
      expect(status).to.equal(201);
    }
  }
  const numbers = (...clients: Client[]) =>
    clients.flatMap(({ events }) => events).flatMap(({ type, data }) => (type === "notice" ? [Number(data["message"])] : []));
  const upTo = (count: number) => [...Array(count).keys()];

  it("goes on at the other one, with nothing missed, when one is killed", async () => {
    const [first, second] = [await open(0, ada), await open(1, ada)];
    await tell(0, 0, TOLD / 2);
    await waitFor(() => numbers(first).length === TOLD / 2 && numbers(second).length === TOLD / 2, { timeoutMs: 10_000 });
    await copies.stacks[0]!.part("api").kill("SIGKILL");
    await waitFor(() => first.closed, { timeoutMs: 10_000 });
    await tell(1, TOLD / 2, TOLD);
    const back = await open(1, ada, first.lastEventId);
    await waitFor(() => numbers(second).length === TOLD, { timeoutMs: 10_000 });
    expect(numbers(first, back)).to.deep.equal(upTo(TOLD));
    expect(numbers(second)).to.deep.equal(upTo(TOLD));
    await copies.stacks[0]!.part("api").start();
    for (const client of [second, back]) client.break();
  });

  it("says goodbye when one is stopped, which then ends in time", async () => {
    const client = await open(0, ada);
    await copies.stacks[0]!.part("api").stop();
    await waitFor(() => client.closed, { timeoutMs: 10_000 });
    expect(client.closed).to.deep.equal({ code: 1001, reason: "shutdown" });
    await copies.stacks[0]!.part("api").start();
  });

  it("ends connections at every copy within a second when somebody is suspended at one", async () => {
    const mal = await copies.customer();
    const clients = await Promise.all([open(0, mal), open(1, mal)]);
    const body = { status: "suspended" };
    await request(copies.urls[0]!, "PATCH", `/api/admin/users/${mal.id}`, { token: copies.admin.token, body });
    const began = Date.now();
    await waitFor(() => clients.every(({ closed }) => closed), { timeoutMs: 5_000 });
    expect(Date.now() - began).to.be.below(1_000);
    for (const { closed } of clients) expect(closed).to.deep.equal({ code: 4401, reason: "signed_out" });
  });

  it("keeps its connections while Redis is killed, and says that something may be missing when it comes back empty", async () => {
    const eve = await copies.customer();
    const client = await open(0, eve);
    const cursor = client.lastEventId;
    await copies.killRedis();
    await copies.startRedis();
    await waitFor(() => client.messages.filter(({ type }) => type === "ready").length === 2, { timeoutMs: 20_000 });
    expect(client.closed).to.equal(undefined);
    expect(client.events.filter(({ type }) => type === "gap").map(({ data }) => data["reason"])).to.deep.equal(["lost"]);
    const late = await open(1, eve, cursor);
    expect(late.events.some(({ type, data }) => type === "gap" && data["reason"] === "lost")).to.equal(true);
    for (const each of [client, late]) each.break();
  });
});
