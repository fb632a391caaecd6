import { expect } from "chai";
import { multiplierFor } from "../../../src/pricing/index.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { OPERATOR_ID, startCopy, type Copy } from "./support.ts";

describe("price multipliers", () => {
  const places = useStack();
  let here: Copy;
  let there: Copy;

  before(async () => {
    [here, there] = [await startCopy({ databaseUrl: places.databaseUrl }), await startCopy({ databaseUrl: places.databaseUrl })];
    await here.call("POST", "/api/admin/models", { name: "Night/Owl", aliases: ["owl"], input_price: "30", output_price: "60" });
  });
  after(() => Promise.all([here.stop(), there.stop()]));

  const PRO = { tier: "pro", keyGroup: null, model: "Night/Owl", at: new Date("2026-11-04T15:00:00Z") };
  const multiplierAt = async (copy: Copy) => multiplierFor((await copy.pricing.model("owl"))!.rules, PRO);
  const ownWindow = { from: "22:00", to: "06:00", days: ["wed", "mon"], time_zone: "Asia/Shanghai" };

  it("one is made, changed and removed; every copy counts with it at once, and its history stays", async () => {
    const body = { name: "nights for pros", multiplier: "0.8", tier: "pro", model: "OWL", window: ownWindow, reason: "launch" };
    const made = await here.call("POST", "/api/admin/multipliers", body);
    expect(made.status).to.equal(201);
    const { id } = made.body.data;
    expect(made.body.data).to.deep.include({
      version: 1,
      multiplier: "0.8",
      tier: "pro",
      key_group: null,
      model: "Night/Owl",
      window: { ...ownWindow, days: ["mon", "wed"] },
      status: "active",
      author_id: OPERATOR_ID,
      reason: "launch",
    });
    expect(await multiplierAt(here)).to.equal(800_000);
    await waitFor(async () => (await multiplierAt(there)) === 800_000, { timeoutMs: 1_000, message: "the other copy" });

    const changed = await there.call("PATCH", `/api/admin/multipliers/${id}`, { multiplier: "0.5", window: null });
    expect(changed.body.data).to.deep.include({ version: 2, multiplier: "0.5", window: null, tier: "pro", reason: null });
    await waitFor(async () => (await multiplierAt(here)) === 500_000, { timeoutMs: 1_000, message: "the first copy" });

    const paused = await here.call("PATCH", `/api/admin/multipliers/${id}`, { status: "inactive" });
    expect(paused.body.data).to.include({ version: 3, status: "inactive", multiplier: "0.5" });
    expect(await multiplierAt(here)).to.equal(1_000_000);
    expect((await here.call("GET", "/api/admin/multipliers")).body.data.items.map((item) => item["id"])).to.include(id);

    expect((await here.call("DELETE", `/api/admin/multipliers/${id}`)).status).to.equal(204);
    for (const [method, more] of [["GET"], ["PATCH", { multiplier: "1" }], ["DELETE"]] as const)
      expect((await here.call(method, `/api/admin/multipliers/${id}`, more)).status).to.equal(404);
    const history = await here.call("GET", `/api/admin/multipliers/${id}/history`);
    expect(history.body.data.items.map((item) => [item["version"], item["multiplier"], item["status"]])).to.deep.equal([
      [4, "0.5", "removed"],
      [3, "0.5", "inactive"],
      [2, "0.5", "active"],
      [1, "0.8", "active"],
    ]);
    const { rows } = await here.pool.query("SELECT action FROM audit_log WHERE target = $1 ORDER BY id", [`multiplier:${id}`]);
    expect(rows.map((row: { action: string }) => row.action)).to.deep.equal([
      "multiplier.create",
      "multiplier.update",
      "multiplier.update",
      "multiplier.remove",
    ]);
  });

  it("of two changes at the same moment one wins and the other is told", async () => {
    const { id } = (await here.call("POST", "/api/admin/multipliers", { name: "race", multiplier: "1", tier: "free" })).body.data;
    const statuses = await Promise.all(
      ["1.1", "1.2", "1.3", "1.4"].map(
        async (multiplier) => (await here.call("PATCH", `/api/admin/multipliers/${id}`, { multiplier })).status,
      ),
    );
    expect(statuses.every((status) => status === 200 || status === 409)).to.equal(true);
    const { items } = (await here.call("GET", `/api/admin/multipliers/${id}/history`)).body.data;
    expect(items.map((item) => item["version"])).to.deep.equal(items.map((_, index) => items.length - index));
    expect(items).to.have.length(1 + statuses.filter((status) => status === 200).length);
  });

  const bad: [string, object, string][] = [
    ["a multiplier above 10", { name: "x", multiplier: "10.000001" }, "multiplier"],
    ["a multiplier below 0", { name: "x", multiplier: "-1" }, "multiplier"],
    ["a number instead of text", { name: "x", multiplier: 0.8 }, "multiplier"],
    ["no name", { multiplier: "1" }, "name"],
    ["a tier that is not there", { name: "x", multiplier: "1", tier: "gold" }, "tier"],
    ["a model that is not there", { name: "x", multiplier: "1", model: "nobody" }, "model"],
    ["a time zone that is not there", { name: "x", multiplier: "1", window: { ...ownWindow, time_zone: "Mars/North" } }, "time_zone"],
    ["a time that is not there", { name: "x", multiplier: "1", window: { ...ownWindow, from: "24:00" } }, "from"],
    ["a day that is not there", { name: "x", multiplier: "1", window: { ...ownWindow, days: ["monday"] } }, "days"],
    ["a field that is not there", { name: "x", multiplier: "1", team: "a" }, "team"],
  ];
  for (const [what, body, field] of bad) {
    it(`is refused with ${what}, naming the field`, async () => {
      const answer = await here.call("POST", "/api/admin/multipliers", body);
      expect(answer.status).to.equal(400);
      expect(JSON.stringify(answer.body.error)).to.contain(field);
    });
  }

  it("only operators see and change them", async () => {
    for (const [method, path] of [
      ["GET", "/api/admin/multipliers"],
      ["POST", "/api/admin/multipliers"],
    ] as const)
      expect((await here.call(method, path, method === "POST" ? {} : undefined, "somebody")).status).to.equal(403);
  });

  it("a version, once written, cannot be altered, also not by posing as a replica", async () => {
    for (const sql of ["UPDATE price_multipliers SET multiplier = 0", "DELETE FROM price_multipliers", "TRUNCATE price_multipliers"]) {
      const client = await here.pool.connect();
      const refusal = await client.query(`SET session_replication_role = replica; ${sql}`).catch((error: Error) => error);
      client.release(true);
      expect(refusal).to.be.instanceOf(Error).with.property("message").that.contains("append-only");
    }
  });
});
