import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { noticeQuery } from "./notice.ts";
import { DEAF, prove, startRig, startSandbox, type Person, type Rig, type Sandbox } from "./rig.ts";

describe("a payment callback", function () {
  this.timeout(60_000);
  const places = useStack({ namespace: true });
  let sandbox: Sandbox;
  let rig: Rig;
  let ada: Person;
  let order: { order_no: string };
  let trades = 0;
  const tradeNo = () => `20261121${String(++trades).padStart(10, "0")}`;

  before(async () => {
    sandbox = await startSandbox();
    rig = await startRig({ places, sandbox: sandbox.url, timings: DEAF });
  });
  beforeEach(async () => {
    ada = await rig.person();
    order = await ada.order();
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  const refusals = async () =>
    (await rig.pool.query<{ kind: string; times: bigint }>("SELECT kind, times FROM payment_refusals ORDER BY id DESC LIMIT 1")).rows[0];

  async function expectUnchanged(): Promise<void> {
    expect(await rig.status(order)).to.equal("pending");
    expect(await ada.total()).to.equal("0");
  }

  it("100 times at once credits once and is acknowledged 100 times", async () => {
    const query = noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() });
    const answers = await Promise.all(Array.from({ length: 100 }, () => rig.send(query)));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).to.deep.equal(new Set(["200 success"]));
    await rig.until(order, "completed");
    expect(await ada.total()).to.equal("500");
    const { rows } = await rig.pool.query("SELECT count(*) AS stored FROM payment_callbacks WHERE order_no = $1", [order.order_no]);
    expect(rows[0].stored).to.equal(1n);
  });

  it("can be replayed for ever", async () => {
    const query = noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() });
    await rig.send(query);
    await rig.until(order, "completed");
    for (let again = 0; again < 5; again++) expect(await rig.send(query)).to.deep.equal({ status: 200, text: "success" });
    expect(await rig.send("", { method: "POST", body: query })).to.deep.equal({ status: 200, text: "success" });
    expect(await ada.total()).to.equal("500");
  });

  it("of two different events about one payment credits once", async () => {
    const trade = tradeNo();
    const answers = await Promise.all([
      rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: trade })),
      rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: trade, param: "again" })),
      rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: trade, buyer: "b" })),
    ]);
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    await rig.until(order, "completed");
    expect(await ada.total()).to.equal("500");
    const { rows } = await rig.pool.query("SELECT kind FROM topup_flags WHERE order_no = $1", [order.order_no]);
    expect(rows).to.deep.equal([]);
  });

  it("for one order credits only that order, however many come at once", async () => {
    const others = await Promise.all(Array.from({ length: 10 }, () => ada.order("20")));
    await Promise.all(others.map((other) => rig.send(noticeQuery({ out_trade_no: other.order_no, trade_no: tradeNo(), money: "20.00" }))));
    await Promise.all(others.map((other) => rig.until(other, "completed")));
    expect(await ada.total()).to.equal("2000");
    expect(await rig.status(order)).to.equal("pending");
  });

  it("forged, unsigned or with an empty signature is refused and changes nothing", async () => {
    const fields = { out_trade_no: order.order_no, trade_no: tradeNo() };
    const good = noticeQuery(fields);
    for (const query of [
      noticeQuery(fields, "another key"),
      noticeQuery(fields, ""),
      good.replace(/sign=[0-9a-f]+/, "sign="),
      good.replace(/&sign=[0-9a-f]+/, ""),
      good.replace("money=50.00", "money=5000.00"),
      good.replace("sign_type=MD5", "sign_type=NONE"),
    ]) {
      expect(await rig.send(query), query).to.deep.equal({ status: 400, text: "fail" });
      expect((await refusals())?.kind).to.equal("bad_signature");
    }
    await expectUnchanged();
  });

  it("with repeated, nested or badly encoded parameters is refused", async () => {
    const good = noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() });
    for (const query of [`${good}&money=50.00`, `${good}&out_trade_no[]=x`, `${good}&a[b]=c`, `${good}&x=%E0%A4%A`, `${good}&%00=1`]) {
      expect(await rig.send(query), query).to.deep.equal({ status: 400, text: "fail" });
    }
    expect(await rig.send("", { method: "POST", body: `{"a":1}`, type: "application/json" })).to.deep.equal({ status: 400, text: "fail" });
    expect(await rig.send("", { method: "POST", body: "\u0000\u0001=\u0000" })).to.deep.equal({ status: 400, text: "fail" });
    expect((await rig.send("")).status).to.equal(400);
    await expectUnchanged();
  });

  it("too large is refused without being read", async () => {
    expect((await rig.send("", { method: "POST", body: `a=${"x".repeat(2_000_000)}` }).catch(() => ({ status: 413 }))).status).to.equal(
      413,
    );
    expect((await rig.send(`a=${"x".repeat(9_000)}`)).status).to.equal(413);
    expect((await refusals())?.kind).to.equal("too_large");
    await expectUnchanged();
  });

  it("for another sum, currency's worth, merchant or order is refused", async () => {
    for (const [fields, kind] of [
      [{ money: "49.99" }, "wrong_amount"],
      [{ money: "50.01" }, "wrong_amount"],
      [{ money: "-50.00" }, "wrong_amount"],
      [{ pid: "1002" }, "wrong_merchant"],
      [{ out_trade_no: "TK20261121AAAAAAAA" }, "unknown_order"],
      [{ out_trade_no: "1" }, "unknown_order"],
    ] as const) {
      const answer = await rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo(), ...fields }));
      expect(answer, JSON.stringify(fields)).to.deep.equal({ status: 400, text: "fail" });
      expect((await refusals())?.kind, JSON.stringify(fields)).to.equal(kind);
    }
    await expectUnchanged();
  });

  it("for an order of another provider or merchant is refused", async () => {
    await rig.pool.query("UPDATE topup_orders SET provider = 'stripe' WHERE order_no = $1", [order.order_no]);
    const query = noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() });
    expect(await rig.send(query)).to.deep.equal({ status: 400, text: "fail" });
    expect((await refusals())?.kind).to.equal("order_of_another_provider");
    await rig.pool.query("UPDATE topup_orders SET provider = 'epay', merchant = '7' WHERE order_no = $1", [order.order_no]);
    expect((await rig.send(query)).status).to.equal(400);
    await expectUnchanged();
  });

  it("on the route of a provider that is not configured finds nothing", async () => {
    const query = noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() });
    for (const provider of ["stripe", "alipay", "wechat", "__proto__", "constructor", "EPAY"]) {
      expect((await rig.send(query, { provider })).status, provider).to.equal(404);
    }
    await expectUnchanged();
  });

  it("that uses the trade number of another order is refused", async () => {
    const trade = tradeNo();
    await rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: trade }));
    await rig.until(order, "completed");
    const second = await ada.order();
    expect(await rig.send(noticeQuery({ out_trade_no: second.order_no, trade_no: trade }))).to.deep.equal({ status: 400, text: "fail" });
    expect((await refusals())?.kind).to.equal("trade_of_another_order");
    expect(await ada.total()).to.equal("500");
  });

  it("refused again and again is counted in one row", async () => {
    const query = noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() }, "wrong");
    await Promise.all(Array.from({ length: 20 }, () => rig.send(query)));
    expect(await refusals()).to.deep.equal({ kind: "bad_signature", times: 20n });
  });

  it("that comes before the order's workflow exists is credited", async () => {
    const { rows } = await rig.pool.query<{ order_no: string }>(
      `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, expires_at)
       SELECT 'TKEARLY' || bill_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, expires_at
       FROM topup_orders WHERE order_no = $1 RETURNING order_no`,
      [order.order_no],
    );
    const early = rows[0]!;
    expect((await rig.send(noticeQuery({ out_trade_no: early.order_no, trade_no: tradeNo() }))).text).to.equal("success");
    await rig.until(early, "completed");
    expect(await ada.total()).to.equal("500");
  });

  it("of a second payment after everything is over is recorded and flagged, and credits nothing", async () => {
    await rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() }));
    await rig.until(order, "completed");
    await rig.client.workflow.getHandle(`topup-${order.order_no}`).result();
    expect((await rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: tradeNo() }))).text).to.equal("success");
    await waitFor(
      async () =>
        (await rig.pool.query("SELECT 1 FROM topup_flags WHERE order_no = $1 AND kind = 'paid_twice'", [order.order_no])).rows.length === 1,
    );
    expect(await ada.total()).to.equal("500");
  });
});
