import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { noticeQuery } from "./notice.ts";
import { prove, QUICK, startRig, startSandbox, type Person, type Rig, type Sandbox, type Bill, type List, type Order } from "./rig.ts";

describe("an order that expires", function () {
  this.timeout(60_000);
  const places = useStack({ namespace: true });
  let sandbox: Sandbox;
  let rig: Rig;
  let ada: Person;

  before(async () => {
    sandbox = await startSandbox({ TOPUP_ORDER_TTL: "1s" });
    rig = await startRig({ places, sandbox: sandbox.url, config: { TOPUP_ORDER_TTL: 1_000 }, timings: { ...QUICK, lateWatchMs: 8_000 } });
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  afterEach(() => prove(rig));
  after(() => rig.close());

  async function expectLate(order: { order_no: string }): Promise<void> {
    await rig.until(order, "completed");
    const { data } = await ada.call<Order>("GET", `/api/topup/orders/${order.order_no}`);
    expect(data).to.include({ status: "completed", late: true });
    expect(data.flags).to.deep.equal(["late"]);
    expect(await ada.total()).to.equal("500");
  }

  it("is closed at its time and shows no way to pay", async () => {
    const order = await ada.order();
    await rig.until(order, "expired", 5_000);
    const { data } = await ada.call<Order>("GET", `/api/topup/orders/${order.order_no}`);
    expect(data).to.include({ status: "expired", pay_url: null });
    const bills = await ada.call<List<Bill>>("GET", "/api/user/billing?status=failed");
    expect(bills.data.items).to.have.length(1);
  });

  it("and is paid later is credited and flagged", async () => {
    const order = await ada.order();
    const { deliveries } = await sandbox.pay(order.order_no, "late");
    expect(deliveries[0]).to.include({ status: 200, body: "success" });
    await expectLate(order);
  });

  it("and is paid later without a callback is credited by the slow watch", async () => {
    const order = await ada.order();
    await rig.until(order, "expired", 5_000);
    await sandbox.pay(order.order_no, "lost");
    await expectLate(order);
  });

  it("and is paid after the watch has ended is credited by a new run", async () => {
    const order = await ada.order();
    await rig.client.workflow.getHandle(`topup-${order.order_no}`).result();
    expect(await rig.status(order)).to.equal("expired");
    await sandbox.pay(order.order_no, "ok");
    await expectLate(order);
  });

  it("is credited and flagged by a rightly signed callback alone", async () => {
    const order = await ada.order();
    await rig.until(order, "expired", 5_000);
    const answer = await rig.send(noticeQuery({ out_trade_no: order.order_no, trade_no: "777" }));
    expect(answer.text).to.equal("success");
    await expectLate(order);
  });
});
