import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { prove, startRig, startSandbox, type Person, type Rig, type Sandbox, type Bill, type Entry, type List, type Order } from "./rig.ts";

describe("a top-up", function () {
  this.timeout(60_000);
  const places = useStack({ namespace: true });
  let sandbox: Sandbox;
  let rig: Rig;
  let ada: Person;

  before(async () => {
    sandbox = await startSandbox();
    rig = await startRig({ places, sandbox: sandbox.url });
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  it("is paid and credited, with a bill and a receipt", async () => {
    const order = await ada.order("50.00");
    expect(order).to.include({
      status: "pending",
      amount: "50.00",
      currency: "CNY",
      credits: "500",
      base_credits: "500",
      bonus_credits: "0",
      late: false,
      channel: "alipay",
    });
    expect(order.order_no).to.match(/^TK[0-9A-Z]{4,30}$/);
    expect(order.workflow_id).to.equal(`topup-${order.order_no}`);
    expect(order.workflow_url).to.contain(order.workflow_id);
    const page = await fetch(order.pay_url!);
    expect(page.status).to.equal(200);
    expect(await page.text()).to.contain("50.00");

    const { deliveries } = await sandbox.pay(order.order_no, "ok");
    expect(deliveries.map(({ status, body }) => [status, body])).to.deep.equal([[200, "success"]]);
    await rig.until(order, "completed");
    expect(await ada.total()).to.equal("500");
    const { data } = await ada.call<Order>("GET", `/api/topup/orders/${order.order_no}`);
    expect(data).to.include({ status: "completed", late: false, pay_url: null });
    expect(data.paid_at).to.be.a("string");

    const bills = await ada.call<List<Bill>>("GET", "/api/user/billing");
    expect(bills.data.items).to.have.length(1);
    expect(bills.data.items[0]).to.include({
      type: "topup",
      amount: "50.00",
      credits: "500",
      status: "completed",
      order_no: order.order_no,
    });
    const receipts = () => rig.notify.queues.mail.getJobs(["waiting", "delayed", "active"]);
    const mine = await waitFor(async () => (await receipts()).find((job) => job.data.data["order_no"] === order.order_no), {
      message: "the receipt",
    });
    expect(mine.data).to.include({ template: "receipt", to: `${ada.id}@example.com` });
  });

  it("gives the bonus of its tier as a grant of its own", async () => {
    const order = await ada.order("500");
    expect(order).to.include({ amount: "500.00", credits: "5500", base_credits: "5000", bonus_credits: "500" });
    await sandbox.pay(order.order_no, "ok");
    await rig.until(order, "completed");
    const { data } = await ada.call<{ sources: { source: string; amount: string }[] }>("GET", "/api/user/balance");
    expect(data).to.include({ total: "5500", available: "5500", held: "0" });
    expect(data.sources.map((one) => [one.source, one.amount])).to.have.deep.members([
      ["purchase", "5000"],
      ["bonus", "500"],
    ]);
    const history = await ada.call<List<Entry>>("GET", "/api/user/points/history");
    expect(history.data.items.map((item) => [item.type, item.amount, item.balance_after])).to.deep.equal([
      ["BONUS", "500", "5500"],
      ["PURCHASE", "5000", "5000"],
    ]);
  });

  it("whose callback never comes is credited by asking the provider", async () => {
    const order = await ada.order();
    await sandbox.pay(order.order_no, "lost");
    await rig.until(order, "completed", 5_000);
    expect(await ada.total()).to.equal("500");
  });

  it("paid twice is credited once and the second payment is flagged", async () => {
    const order = await ada.order();
    await sandbox.pay(order.order_no, "twice");
    await rig.until(order, "completed");
    const { data } = await waitFor(async () => {
      const answer = await ada.call<Order>("GET", `/api/topup/orders/${order.order_no}`);
      return answer.data.flags.includes("paid_twice") ? answer : undefined;
    });
    expect(data.status).to.equal("completed");
    expect(await ada.total()).to.equal("500");
    const { rows } = await rig.pool.query("SELECT outcome FROM topup_trades WHERE order_no = $1 ORDER BY outcome", [order.order_no]);
    expect(rows.map((row) => row.outcome)).to.deep.equal(["credited", "second_payment"]);
  });

  it("paid with another sum is flagged and still payable", async () => {
    const order = await ada.order();
    const { deliveries } = await sandbox.pay(order.order_no, "wrong_amount");
    expect(deliveries[0]).to.include({ status: 400, body: "fail" });
    const { rows } = await waitFor(async () => {
      const found = await rig.pool.query("SELECT details FROM topup_flags WHERE order_no = $1 AND kind = 'wrong_amount'", [order.order_no]);
      return found.rows.length > 0 ? found : undefined;
    });
    expect(rows[0].details).to.include({ paid: "49.99", ordered: "50.00" });
    // The query says the same, and credits nothing.
    await waitFor(
      async () =>
        (await rig.pool.query("SELECT 1 FROM topup_trades WHERE order_no = $1 AND outcome = 'wrong_amount'", [order.order_no])).rows
          .length > 0,
    );
    expect(await rig.status(order)).to.equal("pending");
    expect(await ada.total()).to.equal("0");
    await sandbox.pay(order.order_no, "ok");
    await rig.until(order, "completed");
    expect(await ada.total()).to.equal("500");
  });

  it("with states out of order stays as the provider's last word about money", async () => {
    for (const mode of ["unpaid_then_paid", "closed_after_paid"]) {
      const order = await ada.order();
      const { deliveries } = await sandbox.pay(order.order_no, mode);
      expect(deliveries.map(({ status, body }) => `${status} ${body}`)).to.deep.equal(["200 success", "200 success"]);
      await rig.until(order, "completed");
    }
    expect(await ada.total()).to.equal("1000");
  });

  it("forged or for another merchant changes nothing", async () => {
    const order = await ada.order();
    for (const mode of ["forged", "wrong_merchant"]) {
      const { deliveries } = await sandbox.pay(order.order_no, mode);
      expect(deliveries[0], mode).to.include({ status: 400, body: "fail" });
    }
    expect(await rig.status(order)).to.equal("pending");
    expect(await ada.total()).to.equal("0");
    const { rows } = await rig.pool.query("SELECT kind FROM payment_refusals WHERE order_no = $1 ORDER BY kind", [order.order_no]);
    expect(rows.map((row) => row.kind)).to.deep.equal(["bad_signature", "wrong_merchant"]);
  });

  it("of much money is credited only after the provider confirms it", async () => {
    const order = await ada.order("10000");
    await sandbox.pay(order.order_no, "ok");
    await rig.until(order, "completed");
    const { rows } = await rig.pool.query("SELECT reported_by FROM topup_trades WHERE order_no = $1", [order.order_no]);
    expect(rows[0].reported_by).to.equal("query");
  });

  it("can be cancelled while it is not paid, and is credited when it is paid all the same", async () => {
    const order = await ada.order();
    const cancelled = await ada.call<Order>("POST", `/api/topup/orders/${order.order_no}/cancel`, {});
    expect([cancelled.status, cancelled.data.status]).to.deep.equal([200, "cancelled"]);
    const again = await ada.call<Order>("POST", `/api/topup/orders/${order.order_no}/cancel`, {});
    expect([again.status, again.error.code]).to.deep.equal([409, "invalid_state"]);
    await sandbox.pay(order.order_no, "ok");
    await rig.until(order, "completed");
    const { data } = await ada.call<Order>("GET", `/api/topup/orders/${order.order_no}`);
    expect(data).to.include({ late: true });
    expect(data.flags).to.have.members(["late", "paid_after_cancel"]);
    expect(await ada.total()).to.equal("500");
  });

  it("cannot be cancelled once it is paid", async () => {
    const order = await ada.order();
    await sandbox.pay(order.order_no, "lost");
    const answer = await ada.call<Order>("POST", `/api/topup/orders/${order.order_no}/cancel`, {});
    expect([answer.status, answer.error.code]).to.deep.equal([409, "invalid_state"]);
    await rig.until(order, "completed");
    expect(await ada.total()).to.equal("500");
  });

  it("asked for twice with the same Idempotency-Key is one order", async () => {
    const headers = { "idempotency-key": "press-once" };
    const first = await ada.order("50.00", headers);
    const second = await ada.order("50.00", headers);
    expect(second.order_no).to.equal(first.order_no);
    const other = await ada.call("POST", "/api/topup/orders", { amount: "60", currency: "CNY", method: "epay" }, headers);
    expect([other.status, other.error.code]).to.deep.equal([409, "idempotency_mismatch"]);
  });

  it("shows its state on the page the buyer comes back to, which never credits", async () => {
    const order = await ada.order();
    const page = () =>
      fetch(`${rig.url}/topup/result?out_trade_no=${order.order_no}&trade_status=TRADE_SUCCESS&money=50.00`).then((response) =>
        response.text(),
      );
    expect(await page()).to.contain('data-status="pending"');
    expect(await rig.status(order)).to.equal("pending");
    await sandbox.pay(order.order_no, "ok");
    await rig.until(order, "completed");
    expect(await page()).to.contain('data-status="completed"');
    expect((await fetch(`${rig.url}/topup/result?out_trade_no=<script>`)).status).to.equal(404);
  });
});
