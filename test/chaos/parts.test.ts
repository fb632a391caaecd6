import { expect } from "chai";
import { proveLedger, request, settledBalance } from "../support/people.ts";
import { waitFor } from "../support/stack.ts";
import { call, customer, load, scene, type Call, type Scene } from "./support.ts";

const spent = (calls: Call[]): number => calls.filter((one) => one.complete).length * 10;

describe("while a part is gone", function () {
  this.timeout(240_000);
  let here: Scene;

  before(async () => {
    here = await scene();
  });
  after(() => here.stack.destroy());

  it("without Temporal calls are served and settled later", async () => {
    const { stack, at, admin, model } = here;
    const ada = await customer(at, admin, { credits: "100000" });
    await stack.part("temporal").kill("SIGKILL");
    const calls = await Promise.all(Array.from({ length: 40 }, () => call(at, ada.key, model)));
    expect(calls.filter((one) => one.complete)).to.have.length(40);
    const refused = await request(at.api, "POST", "/api/auth/email-code", { body: { email: "late@example.com", purpose: "register" } });
    expect(refused.status).to.equal(503);
    await stack.part("temporal").start();
    const balance = await settledBalance(ada, 90_000);
    expect(balance.total).to.equal(String(100_000 - spent(calls)));
    await proveLedger(admin);
  });

  it("without Redis calls are served and limited by each copy for itself", async () => {
    const { stack, at, admin, model } = here;
    const ada = await customer(at, admin, { credits: "100000", limits: { requests_per_minute: 8, max_parallel: 100 } });
    const grace = await customer(at, admin, { credits: "100000" });
    const running = load(at, grace.key, model, 4);
    await waitFor(async () => running.calls.length > 5, { timeoutMs: 20_000, message: "load" });
    await stack.part("redis").kill("SIGKILL");
    const before = running.calls.length;
    const statuses = (await Promise.all(Array.from({ length: 20 }, () => call(at, ada.key, model)))).map((one) => one.status);
    expect(statuses.filter((status) => status === 200)).to.have.length(8);
    expect(statuses.filter((status) => status === 429)).to.have.length(12);
    await waitFor(async () => running.calls.length > before + 20, { timeoutMs: 20_000, message: "calls to go on" });
    await stack.part("redis").start();
    const calls = await running.stop();
    expect(calls.every((one) => one.complete)).to.equal(true);
    expect((await settledBalance(grace)).total).to.equal(String(100_000 - spent(calls)));
    await proveLedger(admin);
  });

  it("without Postgres calls are refused clearly, and running ones are charged when it is back", async () => {
    const { stack, at, admin, model } = here;
    const ada = await customer(at, admin, { credits: "100000" });
    const running = Array.from({ length: 10 }, () => call(at, ada.key, model, { chunks: 20, paceMs: 100 }));
    await waitFor(async () => Number((await ada.get<{ held: string }>("/api/user/balance")).held) >= 100, {
      timeoutMs: 20_000,
      message: "ten holds",
    });
    await stack.part("postgres").kill("SIGKILL");
    const refused = await waitFor(
      async () => {
        const one = await call(at, ada.key, model);
        return one.status === 503 ? one : undefined;
      },
      { timeoutMs: 20_000, message: "a clear refusal" },
    );
    expect(JSON.parse((refused as Call).text)).to.have.nested.property("error.code", "unavailable");
    await stack.part("postgres").start();
    const calls = await Promise.all(running);
    expect(calls.every((one) => one.complete)).to.equal(true);
    const again = await waitFor(
      async () => {
        const one = await call(at, ada.key, model);
        return one.complete ? one : undefined;
      },
      { timeoutMs: 60_000, message: "calls to be served again" },
    );
    const balance = await settledBalance(ada, 120_000);
    expect(balance.total).to.equal(String(100_000 - spent([...calls, again as Call])));
    await proveLedger(admin);
  });
});
