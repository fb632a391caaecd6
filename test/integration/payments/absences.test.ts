import { expect } from "chai";
import { freshDatabase, useStack, waitFor } from "../../support/stack.ts";
import { createSettlePayment } from "../../../src/payments/settle.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { noticeQuery } from "./notice.ts";
import { DEAF, prove, startRig, startSandbox, type Rig, type Sandbox, type List, type Order } from "./rig.ts";

const NOWHERE = "127.0.0.1:9";
const silent = createLogger({ level: "silent", name: "test" });

describe("while a part is away", function () {
  this.timeout(60_000);
  const places = useStack({ namespace: true });
  let sandbox: Sandbox;
  let rig: Rig;
  /** An api on the same database that cannot reach Temporal. */
  let cutOff: Rig;

  before(async () => {
    sandbox = await startSandbox();
    rig = await startRig({ places, sandbox: sandbox.url, timings: DEAF });
    cutOff = await startRig({ places, sandbox: sandbox.url, timings: DEAF, temporalAddress: NOWHERE, worker: false });
  });
  after(async () => {
    await cutOff.close();
    await rig.close();
  });

  it("without Temporal an order is refused with 503 and closed as failed", async () => {
    const ada = await cutOff.person();
    const answer = await ada.call(
      "POST",
      "/api/topup/orders",
      { amount: "50.00", currency: "CNY", method: "epay" },
      { "idempotency-key": "k" },
    );
    expect([answer.status, answer.error.code]).to.deep.equal([503, "unavailable"]);
    const { data } = await ada.call<List<Order>>("GET", "/api/topup/orders");
    expect(data.items.map((order) => [order.status, order.pay_url])).to.deep.equal([["failed", null]]);
  });

  it("without Temporal a callback is acknowledged, and the sweep delivers it", async () => {
    const ada = await rig.person();
    const order = await ada.order();
    const answer = await cutOff.send(noticeQuery({ out_trade_no: order.order_no, trade_no: "9001" }));
    expect(answer).to.deep.equal({ status: 200, text: "success" });
    expect(await rig.status(order)).to.equal("paid");
    expect(await ada.total()).to.equal("0");
    await rig.pool.query("UPDATE payment_callbacks SET received_at = received_at - interval '1 minute' WHERE order_no = $1", [
      order.order_no,
    ]);
    expect(await rig.steps.deliverCallbacks()).to.include({ delivered: 1 });
    await rig.until(order, "completed");
    expect(await ada.total()).to.equal("500");
    expect(await rig.steps.deliverCallbacks()).to.include({ delivered: 0 });
    await prove(rig);
  });

  it("an order whose request died before its workflow began is taken up by the sweep", async () => {
    const ada = await rig.person();
    const model = await ada.order();
    const { rows } = await rig.pool.query<{ order_no: string }>(
      `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, expires_at, created_at)
       SELECT 'TKSTRANDED1', user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, expires_at, now() - interval '1 minute'
       FROM topup_orders WHERE order_no = $1 RETURNING order_no`,
      [model.order_no],
    );
    expect((await rig.steps.deliverCallbacks()).restarted).to.equal(1);
    await waitFor(async () => (await ada.call<Order>("GET", `/api/topup/orders/${rows[0]!.order_no}`)).data.pay_url, {
      message: "a way to pay",
    });
    expect((await rig.steps.deliverCallbacks()).restarted).to.equal(0);
  });

  it("without the provider an order can still be opened by its page", async () => {
    const alone = await startRig({ places, sandbox: "http://127.0.0.1:9", timings: DEAF, worker: false });
    try {
      const ada = await alone.person();
      const { rows } = await rig.pool.query<{ order_no: string }>(
        `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, expires_at)
         VALUES ('TKALONE1', $1, $2, 'epay', '1001', 'alipay', 5000, 'CNY', 10000000, 500000000, now() + interval '1 hour') RETURNING order_no`,
        [ada.id, ada.walletId],
      );
      const answer = await alone.steps.createPayment({ orderNo: rows[0]!.order_no });
      expect(answer).to.deep.equal({ status: "pending", payable: true, about: "50.00 CNY by epay (alipay)" });
      const payment = (await ada.call<Order>("GET", `/api/topup/orders/${rows[0]!.order_no}`)).data;
      expect(payment.pay_url).to.match(/^http:\/\/127\.0\.0\.1:9\/epay\/submit\.php\?.*sign=[0-9a-f]{32}/);
      // The sandbox's own code verifies what was signed.
      const page = await fetch(payment.pay_url!.replace("http://127.0.0.1:9", sandbox.url));
      expect(page.status).to.equal(200);
      expect((await fetch(payment.pay_url!.replace("http://127.0.0.1:9", sandbox.url).replace("50.00", "5.00"))).status).to.equal(400);
    } finally {
      await alone.close();
    }
  });

  it("without Postgres a callback is not acknowledged", async () => {
    const gone = await startRig({
      places: { ...places, databaseUrl: "postgres://nobody@127.0.0.1:9/none" },
      sandbox: sandbox.url,
      worker: false,
    });
    try {
      expect(await gone.send(noticeQuery({ out_trade_no: "TK20261121AAAA", trade_no: "1" }))).to.deep.equal({ status: 503, text: "fail" });
    } finally {
      await gone.close();
    }
  });

  it("a worker that dies between credit and bill leaves neither, and the next try makes both", async () => {
    const ada = await rig.person();
    const order = await ada.order();
    let calls = 0;
    const dying = {
      ...rig.ledger,
      creditTogether: async (...[db, credits]: Parameters<typeof rig.ledger.creditTogether>) => {
        const result = await rig.ledger.creditTogether(db, credits);
        calls += 1;
        // The connection of this very transaction is cut, as by a kill -9.
        if (calls === 1)
          await rig.pool.query("SELECT pg_terminate_backend($1)", [(await db.query("SELECT pg_backend_pid() AS pid")).rows[0].pid]);
        return result;
      },
    };
    const settle = createSettlePayment({ pool: rig.pool, ledger: dying, log: silent });
    const report = { tradeNo: "8001", amount: 5000n, reportedBy: "callback" as const };
    const first = await settle(order.order_no, report).then(
      () => "done",
      () => "died",
    );
    expect(first).to.equal("died");
    expect(await rig.status(order)).to.equal("pending");
    expect(await ada.total()).to.equal("0");
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => settle(order.order_no, report)));
    expect(outcomes.map(({ outcome }) => outcome).sort()).to.deep.equal([...Array<string>(9).fill("already_credited"), "credited"]);
    expect(await rig.status(order)).to.equal("completed");
    expect(await ada.total()).to.equal("500");
    await prove(rig);
  });

  it("a provider that is not configured is not offered and has no callback route", async () => {
    const databaseUrl = await freshDatabase();
    const bare = await startRig({ places: { ...places, databaseUrl }, sandbox: sandbox.url, config: { EPAY_KEY: "  " }, worker: false });
    try {
      const ada = await bare.person();
      expect((await ada.call<{ methods: object[] }>("GET", "/api/topup/options")).data.methods).to.deep.equal([]);
      expect((await bare.send(noticeQuery({ out_trade_no: "TK1" }, ""))).status).to.equal(404);
      const answer = await ada.call("POST", "/api/topup/orders", { amount: "50", currency: "CNY", method: "epay" });
      expect([answer.status, answer.error.details[0]?.field]).to.deep.equal([400, "method"]);
    } finally {
      await bare.close();
    }
  });
});
