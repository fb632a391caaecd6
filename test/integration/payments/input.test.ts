import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { DEAF, startRig, startSandbox, type Person, type Rig, type Bill, type List, type Order } from "./rig.ts";

const GOOD = { amount: "50.00", currency: "CNY", method: "epay", channel: "alipay" };
const SQL = "'; DROP TABLE users; --";

describe("input of top-ups and bills", function () {
  this.timeout(60_000);
  const places = useStack({ namespace: true });
  let rig: Rig;
  let ada: Person;

  before(async () => {
    const sandbox = await startSandbox();
    rig = await startRig({ places, sandbox: sandbox.url, timings: DEAF });
    ada = await rig.person();
  });
  after(() => rig.close());

  it("of an order is refused with the name of the bad field", async () => {
    const bad: [string, unknown][] = [
      ...["", " 50", "50.001", "-1", "+1", "1e3", "NaN", "５０", "0", "0.99", "50000.01", "9".repeat(30), SQL, "50\n", "a\u0000"].map(
        (value): [string, unknown] => ["amount", value],
      ),
      ["amount", 50],
      ["amount", 1e30],
      ["amount", null],
      ["amount", true],
      ["amount", ["50"]],
      ["amount", {}],
      ["amount", undefined],
      ["currency", "USD"],
      ["currency", ""],
      ["currency", "cny"],
      ["currency", undefined],
      ["currency", 1],
      ["method", "paypal"],
      ["method", "stripe"],
      ["method", ""],
      ["method", SQL],
      ["method", undefined],
      ["method", "__proto__"],
      ["channel", "bank"],
      ["channel", ""],
      ["channel", null],
      ["channel", "a\r\nSet-Cookie: x=1"],
      ["surprise", 1],
    ];
    for (const [field, value] of bad) {
      for (const path of ["/api/topup/orders", "/api/user/topup"]) {
        const answer = await ada.call("POST", path, { ...GOOD, [field]: value });
        expect(answer.status, `${path} ${field}=${JSON.stringify(value)} ${answer.text}`).to.equal(400);
        expect(JSON.stringify(answer.error.details), `${field}=${JSON.stringify(value)}`).to.contain(`"${field}"`);
      }
    }
    const { rows } = await rig.pool.query("SELECT count(*) AS made FROM topup_orders");
    expect(rows[0].made).to.equal(0n);
  });

  it("of an order is refused when it is not a JSON object or too large", async () => {
    for (const body of ["{", "[]", '"x"', "1e400", "7"])
      expect((await ada.call("POST", "/api/topup/orders", body)).status, body).to.equal(400);
    expect((await ada.call("POST", "/api/topup/orders", `{"amount":"${"5".repeat(2_000_000)}"}`)).status).to.equal(413);
    expect(
      (await ada.call("POST", "/api/topup/orders", "amount=50", { "content-type": "application/x-www-form-urlencoded" })).status,
    ).to.be.oneOf([400, 415]);
    expect((await ada.call("POST", "/api/topup/orders", GOOD, { "idempotency-key": "x".repeat(300) })).status).to.equal(400);
  });

  it("of numbers in paths and queries is refused or not found", async () => {
    for (const value of ["x", "-1", "1e30", SQL, "a\u0000b", "%", "x".repeat(5_000), "9".repeat(40), "TK../../x", "TK20261121AAAAAAAA"]) {
      for (const [method, path] of [
        ["GET", `/api/topup/orders/${encodeURIComponent(value)}`],
        ["POST", `/api/topup/orders/${encodeURIComponent(value)}/cancel`],
        ["GET", `/api/user/billing/${encodeURIComponent(value)}`],
      ] as const) {
        const answer = await ada.call(method, path, method === "POST" ? {} : undefined);
        expect(answer.status, `${method} ${path.slice(0, 60)}`).to.be.within(400, 404);
      }
    }
    expect((await ada.call("GET", "/api/user/billing/9223372036854775808")).status).to.equal(400);
    expect((await ada.call("GET", "/api/user/billing/9223372036854775807")).status).to.equal(404);
    for (const path of [
      "/api/topup/orders",
      "/api/user/billing",
      "/api/user/billing/stats",
      "/api/user/transactions",
      "/api/user/points/history",
    ]) {
      for (const query of [
        "page=0",
        "page=-1",
        "page=1e30",
        "page_size=101",
        "page_size=x",
        "type=NOPE",
        "status=NOPE",
        "from=yesterday",
        "to=NaN",
        "key=1",
        `model=${"x".repeat(300)}`,
        "surprise=1",
        "page=1&page=2",
        "from[a]=1",
        "model=a%00b",
      ]) {
        const answer = await ada.call("GET", `${path}?${query}`);
        expect(answer.status, `${path}?${query} ${answer.text}`).to.equal(400);
        expect(answer.error.details[0]?.field, `${path}?${query}`).to.equal(decodeURIComponent(query.split("=")[0]!));
      }
    }
  });

  it("without signing in gets 401, without a verified address 403 on top-ups", async () => {
    for (const path of ["/api/topup/options", "/api/topup/orders", "/api/user/balance", "/api/user/billing", "/api/user/transactions"]) {
      expect((await fetch(rig.url + path)).status, path).to.equal(401);
    }
    const eve = await rig.person(false);
    const answer = await eve.call("POST", "/api/topup/orders", GOOD);
    expect([answer.status, answer.error.code]).to.deep.equal([403, "email_not_verified"]);
  });

  it("never shows somebody else's order or bill", async () => {
    const order = await ada.order();
    const bill = (await ada.call<List<Bill>>("GET", "/api/user/billing")).data.items[0]!;
    expect((await ada.call("GET", `/api/user/billing/${bill.id}`)).data).to.deep.equal(bill);
    const eve = await rig.person();
    expect((await eve.call<Order>("GET", `/api/topup/orders/${order.order_no}`)).status).to.equal(404);
    expect((await eve.call<Order>("POST", `/api/topup/orders/${order.order_no}/cancel`, {})).status).to.equal(404);
    expect((await eve.call("GET", `/api/user/billing/${bill.id}`)).status).to.equal(404);
    expect((await eve.call("GET", "/api/topup/orders")).data).to.deep.equal({ items: [], total: 0, page: 1, page_size: 20 });
    expect(await rig.status(order)).to.equal("pending");
  });

  it("options name what can be bought", async () => {
    const { data } = await ada.call("GET", "/api/topup/options");
    expect(data).to.deep.equal({
      currency: "CNY",
      presets: ["50.00", "100.00", "150.00", "200.00", "300.00", "500.00", "1000.00"],
      min: "1.00",
      max: "50000.00",
      rate: "10",
      methods: [{ method: "epay", channels: ["alipay", "wxpay"], currency: "CNY" }],
      bonus_tiers: [
        { from: "100.00", percent: "5" },
        { from: "500.00", percent: "10" },
      ],
    });
  });

  it("nobody may have more than 50 unpaid orders", async () => {
    const bob = await rig.person();
    await rig.pool.query(
      `INSERT INTO topup_orders (order_no, user_id, wallet_id, provider, merchant, channel, amount, currency, rate, base_credits, expires_at, pay_url)
       SELECT 'TKMANY' || n, $1, $2, 'epay', '1001', 'alipay', 5000, 'CNY', 10000000, 500000000, now() + interval '1 hour', 'x' FROM generate_series(1, 50) n`,
      [bob.id, bob.walletId],
    );
    expect((await bob.call("POST", "/api/topup/orders", GOOD)).status).to.equal(429);
  });
});
