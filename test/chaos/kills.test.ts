import { expect } from "chai";
import { proveLedger, register, settledBalance, type Balance } from "../support/people.ts";
import { waitFor } from "../support/stack.ts";
import { call, customer, LIMITED, load, scene, type Scene } from "./support.ts";

interface Order {
  order_no: string;
  status: string;
  credits: string;
}

describe("when a process is killed", function () {
  this.timeout(240_000);
  let here: Scene;

  before(async () => {
    here = await scene();
  });
  after(() => here.stack.destroy());

  it("in the middle of settlement, every call is charged once", async () => {
    const { stack, at, admin, model } = here;
    const ada = await customer(at, admin, { credits: "1000000", limits: LIMITED });
    const running = load(at, ada.key, model, 16);
    for (let kills = 0; kills < 3; kills++) {
      const seen = running.calls.length;
      await waitFor(async () => running.calls.length > seen + 50, { timeoutMs: 30_000, message: "calls to settle" });
      await stack.part("worker").kill("SIGKILL");
      await stack.part("worker").start();
    }
    const calls = await running.stop();
    expect(calls.every((one) => one.complete)).to.equal(true);
    const balance = await settledBalance(ada, 90_000);
    expect(balance.total).to.equal(String(1_000_000 - calls.length * 10));
    await proveLedger(admin);
  });

  it("the api in the middle of 50 streams charges nothing that was not complete and frees every hold", async () => {
    const { stack, at, admin, model } = here;
    const ada = await customer(at, admin, { credits: "1000", limits: LIMITED });
    const streams = Array.from({ length: 50 }, () => call(at, ada.key, model, { chunks: 100, paceMs: 100 }));
    await waitFor(async () => (await ada.get<Balance>("/api/user/balance")).held === "500", { timeoutMs: 30_000, message: "50 holds" });
    await stack.part("api").kill("SIGKILL");
    const outcomes = await Promise.all(streams);
    expect(outcomes.some((one) => one.complete)).to.equal(false);
    await stack.part("api").start();
    const balance = await settledBalance(ada, 120_000);
    expect(balance).to.include({ total: "1000", available: "1000" });
    await proveLedger(admin);
  });

  it("the api asked to stop lets running streams finish and exits with nothing held", async () => {
    const { stack, at, admin, model } = here;
    const ada = await customer(at, admin, { credits: "1000" });
    const short = Array.from({ length: 10 }, () => call(at, ada.key, model, { chunks: 20, paceMs: 50 }));
    const long = Array.from({ length: 10 }, () => call(at, ada.key, model, { chunks: 1_000, paceMs: 100 }));
    await waitFor(async () => (await ada.get<Balance>("/api/user/balance")).held === "200", { timeoutMs: 30_000, message: "20 holds" });
    await stack.part("api").stop();
    expect((await Promise.all(short)).every((one) => one.complete)).to.equal(true);
    for (const one of await Promise.all(long)) {
      expect(one.complete).to.equal(false);
      expect(one.text).to.contain('"error"');
    }
    await stack.part("api").start();
    const balance = await ada.get<Balance>("/api/user/balance");
    expect(balance.held === "0" || balance.held === "100").to.equal(true);
    expect((await settledBalance(ada)).total).to.equal("900");
    await proveLedger(admin);
  });

  it("worker or api in the middle of a top-up, the payment is credited once", async () => {
    const { stack, at, admin } = here;
    const ada = await register(at);
    for (const victim of ["worker", "api"] as const) {
      const before = await ada.get<Balance>("/api/user/balance");
      const order = await ada.post<Order>("/api/topup/orders", { amount: "50.00", currency: "CNY", method: "epay", channel: "alipay" });
      const paying = fetch(`${at.sandbox}/orders/${order.order_no}/pay`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ mode: "twice" }),
      }).catch(() => undefined);
      await stack.part(victim).kill("SIGKILL");
      await stack.part(victim).start();
      await paying;
      await waitFor(async () => (await ada.get<Order>(`/api/topup/orders/${order.order_no}`)).status === "completed", {
        timeoutMs: 60_000,
        message: "the order to be completed",
      });
      const after = await ada.get<Balance>("/api/user/balance");
      expect(Number(after.total) - Number(before.total)).to.equal(Number(order.credits));
    }
    await proveLedger(admin);
  });
});
