import { expect } from "chai";
import { connect, refusal, type Client } from "../integration/live/client.ts";
import { customer, operator, request, settledBalance, type Person } from "../support/people.ts";
import { product, type Product, waitFor } from "../support/stack.ts";

describe("live push through the whole product", function () {
  this.timeout(90_000);
  let where: Product;
  let admin: Person;
  let ada: Person;

  before(async () => {
    where = await product();
    admin = await operator(where);
    ada = await customer(where, admin, { credits: "10" });
  });

  async function open(who: Person, query = "", lastEventId?: string): Promise<Client> {
    const { ticket } = await who.post<{ ticket: string }>("/api/live/tickets");
    const client = await connect(`${where.api}/ws?ticket=${ticket}${query}`, { lastEventId });
    await waitFor(() => client.messages.some(({ type }) => type === "ready"));
    return client;
  }
  const of = (client: Client, type: string) => client.events.filter((event) => event.type === type);

  it("shows a render as it happens, and what it costs", async () => {
    const client = await open(ada);
    const body = { name: "Watched", engine: "simulate", frame_start: 1, frame_end: 4, width: 320, height: 180 };
    const task = await ada.post<{ id: string; held: string }>("/api/tasks", body);
    await waitFor(() => of(client, "task.status").some(({ data }) => data["status"] === "completed"), { timeoutMs: 60_000 });
    expect(of(client, "task.status").map(({ data }) => data["status"])).to.deep.equal(["queued", "preparing", "rendering", "completed"]);
    const progress = of(client, "task.progress").map(({ data }) => data);
    expect(progress.at(-1)).to.include({ task_id: task.id, user_id: ada.id, progress: 100, total_frames: 4, done_frames: 4 });
    expect(of(client, "task.log").length).to.be.above(0);
    const { total } = await settledBalance(ada);
    await waitFor(() => of(client, "balance").at(-1)?.data["total"] === total, { timeoutMs: 10_000 });
    expect(of(client, "balance").at(-1)!.data).to.include({ available: total, held: "0" });
    client.break();
    const again = await open(ada, "", client.events[0]!.id!);
    expect(again.events.filter(({ type }) => type !== "balance")).to.deep.equal(
      client.events.slice(1).filter(({ type }) => type !== "balance"),
    );
    again.break();
  });

  it("tells of a top-up, and of the credit that it brings", async () => {
    const client = await open(ada, "&topics=topups,balance");
    const order = await ada.post<{ order_no: string }>("/api/topup/orders", {
      amount: "50.00",
      currency: "CNY",
      method: "epay",
      channel: "alipay",
    });
    await fetch(`${where.sandbox}/orders/${order.order_no}/pay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ mode: "ok" }),
    });
    const last = () => of(client, "topup").at(-1)?.data;
    await waitFor(() => last()?.["status"] === "completed", { timeoutMs: 30_000 });
    expect(last()).to.include({ order_no: order.order_no, amount: "50.00", currency: "CNY" });
    const { total } = await ada.get<{ total: string }>("/api/user/balance");
    await waitFor(() => of(client, "balance").at(-1)?.data["total"] === total, { timeoutMs: 10_000 });
    client.break();
  });

  it("brings what operators say, to one person or all, on record", async () => {
    const bob = await customer(where, admin);
    const [hers, his] = await Promise.all([open(ada), open(bob)]);
    await admin.post("/api/admin/live/notices", { user_id: bob.id, title: "Hello", message: "only you" });
    await admin.post("/api/admin/live/notices", { message: "everybody", level: "warning" });
    await waitFor(() => of(his, "notice").length === 2 && of(hers, "notice").length === 1);
    expect(of(his, "notice").map(({ data }) => data["message"])).to.deep.equal(["only you", "everybody"]);
    const unknown = await admin.call("POST", "/api/admin/live/notices", { user_id: "00000000-0000-7000-8000-000000000000", message: "x" });
    expect([unknown.status, unknown.body.error?.code]).to.deep.equal([404, "user_not_found"]);
    expect((await ada.call("POST", "/api/admin/live/notices", { message: "x" })).status).to.equal(403);
    for (const client of [hers, his]) client.break();
  });

  it("counts connections for operators", async () => {
    const client = await open(ada);
    await waitFor(
      async () => {
        const { copies, connections } = await admin.get<{ copies: unknown[]; connections: number }>("/api/admin/live");
        return copies.length === 1 && connections > 0;
      },
      { timeoutMs: 10_000 },
    );
    client.break();
  });

  it("ends when the person signs out or is suspended, within a second", async () => {
    const eve = await customer(where, admin);
    const signedOut = await open(eve);
    await eve.post("/api/auth/logout", { all: true });
    let began = Date.now();
    await waitFor(() => signedOut.closed);
    expect(Date.now() - began).to.be.below(1_000);
    expect(signedOut.closed).to.deep.equal({ code: 4401, reason: "signed_out" });
    const mal = await customer(where, admin);
    const blocked = await open(mal);
    await admin.patch(`/api/admin/users/${mal.id}`, { status: "suspended" });
    began = Date.now();
    await waitFor(() => blocked.closed);
    expect(Date.now() - began).to.be.below(1_000);
    expect(await refusal(`${where.api}/ws?token=${mal.token}`)).to.deep.equal({ status: 403, code: "account_suspended" });
  });

  it("has no task of somebody else's among its topics", async () => {
    const bob = await customer(where, admin, { credits: "10" });
    const body = { name: "His", engine: "simulate", frame_start: 1, frame_end: 1, width: 64, height: 64 };
    const task = await bob.post<{ id: string }>("/api/tasks", body);
    expect(await refusal(`${where.api}/ws?token=${ada.token}&topics=task:${task.id}`)).to.deep.equal({ status: 404, code: "not_found" });
    (await open(bob, `&topics=task:${task.id}`)).break();
  });

  it("has a page that shows it, with no script in it", async () => {
    const page = await fetch(`${where.api}/live-demo`);
    expect(page.headers.get("content-security-policy")).to.include("script-src 'self'");
    expect(await page.text()).not.to.match(/<script>|onclick=|style=/);
    const script = await (await fetch(`${where.api}/live-demo/script.js`)).text();
    expect(() => new Function(script)).not.to.throw();
    expect((await request(where.api, "GET", "/ws")).status).to.equal(426);
  });
});
