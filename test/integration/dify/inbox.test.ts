import { expect } from "chai";
import { randomUUID } from "node:crypto";
import type { EventView } from "../../../src/usage/dify/inbox.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { message, startDify, type Answered, type DifyRig, type Page, type Person } from "./rig.ts";

const MICRO = 1_000_000n;
const unique = (name: string) => `${name}-${randomUUID()}`;

describe("a message that cannot be charged yet", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: DifyRig;

  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
  });
  afterEach(async () => {
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
  after(() => rig.close());

  const openOf = async (query: string) => (await rig.admin<Page<EventView>>("GET", `/api/admin/dify/events?state=open&${query}`)).body.data;
  const total = async (person: Person) => (await rig.balance(person)).total;
  const map = (externalId: string, person: Person) =>
    rig.admin("POST", "/api/admin/dify/users", { external_id: externalId, user_id: person.userId });
  const refused = (answer: Answered, status: number, code: string) =>
    expect([answer.status, answer.body.success, answer.body.error?.code], answer.text).to.deep.equal([status, false, code]);

  it("of an unknown user is refused, kept, and charged when the user is mapped", async () => {
    const ada = await rig.person(1_000);
    const user = unique("user");
    const body = message({ user_id: user });
    const answer = await rig.send(body);
    refused(answer, 404, "user_not_found");
    expect(await rig.send(body), "a repeat gets the first answer").to.deep.equal(answer);
    expect((await openOf(`external_user=${user}`)).items[0]).to.include({ reason: "user_not_found", deliveries: 2, points: null });

    await map(user, ada);
    await waitFor(async () => (await total(ada)) === 907n * MICRO, { message: "the event to be charged" });
    expect((await openOf(`external_user=${user}`)).total).to.equal(0);
    expect((await rig.send(body)).body.data.pointsDeducted, "a repeat now gets what was charged").to.equal(93);
    expect(await total(ada)).to.equal(907n * MICRO);
  });

  it("of an unknown model is refused, kept, and charged when the model is added", async () => {
    const ada = await rig.person(1_000);
    const model = unique("model");
    refused(await rig.send(message({ user_id: ada.userId, model_name: model })), 404, "model_not_found");
    await rig.model(model.toUpperCase().toLowerCase());
    await waitFor(async () => (await total(ada)) === 907n * MICRO, { message: "the event to be charged" });
  });

  it("of a model without a price is not free but kept, and charged at the price set later", async () => {
    const ada = await rig.person(1_000);
    const model = unique("unpriced");
    await rig.model(model, { priced: false });
    refused(await rig.send(message({ user_id: ada.userId, model_name: model })), 503, "model_not_priced");
    expect(await total(ada)).to.equal(1_000n * MICRO);
    await rig.price(model, "60", "120");
    await waitFor(async () => (await total(ada)) === 814n * MICRO, { message: "the event to be charged" });
  });

  it("is charged by the price that was in force when it happened, however late it is charged", async () => {
    const ada = await rig.person(1_000);
    const [user, model] = [unique("late"), unique("repriced")];
    await rig.model(model);
    await rig.send(message({ user_id: user, model_name: model }));
    await rig.price(model, "3000", "6000");
    await map(user, ada);
    await waitFor(async () => (await total(ada)) === 907n * MICRO, { message: "the event to be charged at the old price" });
  });

  it("is charged once, however many operators, sweeps and repeats try at the same instant", async () => {
    const ada = await rig.person(10_000);
    const user = unique("many");
    const bodies = Array.from({ length: 20 }, () => message({ user_id: user }));
    await Promise.all(bodies.map((body) => rig.send(body)));
    await rig.pool.query("INSERT INTO dify_users (external_id, user_id) VALUES ($1, $2)", [user, ada.userId]);
    await Promise.all([
      ...Array.from({ length: 5 }, () => rig.sweep()),
      ...Array.from({ length: 5 }, () => rig.admin("POST", "/api/admin/dify/events/replay", { reason: "user_not_found" })),
      ...bodies.map((body) => rig.send(body)),
    ]);
    await rig.sweep();
    expect(await total(ada)).to.equal((10_000n - 20n * 93n) * MICRO);
  });

  it("is replayed one by one or all of a reason, and says what came of it", async () => {
    const ada = await rig.person(1_000);
    const user = unique("replayed");
    for (let i = 0; i < 3; i++) await rig.send(message({ user_id: user }));
    const { items } = await openOf(`external_user=${user}`);
    const still = await rig.admin("POST", `/api/admin/dify/events/${items[0]!.id}/replay`);
    expect([still.status, still.body.data.state]).to.deep.equal([200, "open"]);
    await rig.pool.query("INSERT INTO dify_users (external_id, user_id) VALUES ($1, $2)", [user, ada.userId]);
    const one = await rig.admin("POST", `/api/admin/dify/events/${items[0]!.id}/replay`);
    expect(one.body.data).to.include({ state: "charged", points: "93", balance_after: "907" });
    const all = await rig.admin("POST", "/api/admin/dify/events/replay", { reason: "user_not_found", user });
    expect(all.body.data).to.deep.equal({ tried: 2, charged: 2 });
    expect(await total(ada)).to.equal((1_000n - 3n * 93n) * MICRO);
    refused(await rig.admin("POST", `/api/admin/dify/events/${items[0]!.id}/replay`), 409, "invalid_state");
  });

  it("is closed for good by an operator, with a note in the audit log, and never charged after that", async () => {
    const ada = await rig.person(1_000);
    const user = unique("dismissed");
    const body = message({ user_id: user });
    const first = await rig.send(body);
    const [event] = (await openOf(`external_user=${user}`)).items;
    const closed = await rig.admin("POST", `/api/admin/dify/events/${event!.id}/resolve`, { note: "a test of ours" });
    expect(closed.body.data).to.include({ state: "dismissed", note: "a test of ours" });
    await map(user, ada);
    await rig.sweep();
    expect(await rig.send(body)).to.deep.equal(first);
    expect(await total(ada)).to.equal(1_000n * MICRO);
    const { rows } = await rig.pool.query("SELECT action FROM audit_log WHERE target = $1", [`dify_event:${event!.id}`]);
    expect(rows).to.deep.equal([{ action: "dify.resolve_event" }]);
  });

  it("is not found by an id that is none", async () => {
    for (const id of ["nothing", "cons_0", randomUUID(), `cons_${"0".repeat(32)}`]) {
      refused(await rig.admin("GET", `/api/admin/dify/events/${id}`), 404, "not_found");
    }
  });

  describe("for want of points", () => {
    it("takes what is there, owes the rest, says both, and is paid by the next top-up", async () => {
      const ada = await rig.person(50);
      const body = message({ user_id: ada.userId });
      const answer = await rig.send(body);
      refused(answer, 402, "insufficient_balance");
      expect(answer.body.error!.details).to.include({ pointsDeducted: 50, tokensUsed: 2_300, shortfall: "43" });
      expect(await rig.send(body)).to.deep.equal(answer);
      expect(await rig.balance(ada)).to.include({ total: 0n, shortfall: 43n * MICRO });
      expect((await openOf(`user=${ada.userId}`)).items[0]).to.include({
        reason: "insufficient_balance",
        points: "93",
        points_deducted: "50",
        shortfall: "43",
        shortfall_open: "43",
      });

      await rig.credit(ada, 100);
      expect(await rig.balance(ada)).to.include({ total: 57n * MICRO, shortfall: 0n });
      await rig.sweep();
      expect((await openOf(`user=${ada.userId}`)).total).to.equal(0);
      const listed = await rig.admin<Page<EventView>>("GET", `/api/admin/dify/events?user=${ada.userId}`);
      expect(listed.body.data.items[0]).to.include({ state: "charged", shortfall: "43", shortfall_open: "0" });
      expect(await rig.send(body), "the first answer stays").to.deep.equal(answer);
    });

    it("counts the whole cost in the user's usage and statistics", async () => {
      const ada = await rig.person(50);
      await rig.send(message({ user_id: ada.userId }));
      const { rows } = await rig.pool.query("SELECT cost, uncharged FROM usage_hourly WHERE user_id = $1", [ada.userId]);
      expect(rows).to.deep.equal([{ cost: 93n * MICRO, uncharged: 0n }]);
    });
  });

  describe("the users of Dify", () => {
    it("are listed, added, changed and forgotten, each change on record", async () => {
      const [ada, bob] = [await rig.person(1_000), await rig.person(1_000)];
      const user = unique("crm/user 1");
      const path = `/api/admin/dify/users/${encodeURIComponent(user)}`;
      expect(
        (await rig.admin("POST", "/api/admin/dify/users", { external_id: user, user_id: ada.userId, note: "a note" })).status,
      ).to.equal(201);
      refused(await map(user, bob), 409, "conflict");
      refused(
        await rig.admin("POST", "/api/admin/dify/users", { external_id: unique("x"), user_id: randomUUID() }),
        400,
        "validation_failed",
      );
      expect((await rig.send(message({ user_id: user }))).status).to.equal(200);
      expect((await rig.admin("PATCH", path, { user_id: bob.userId })).body.data).to.include({ user_id: bob.userId, note: "a note" });
      expect((await rig.send(message({ user_id: user }))).status).to.equal(200);
      expect([await total(ada), await total(bob)]).to.deep.equal([907n * MICRO, 907n * MICRO]);
      expect((await rig.admin<Page<object>>("GET", `/api/admin/dify/users?q=${encodeURIComponent(user)}`)).body.data.items).to.have.length(
        1,
      );
      expect((await rig.admin("DELETE", path)).status).to.equal(204);
      refused(await rig.admin("DELETE", path), 404, "not_found");
      refused(await rig.send(message({ user_id: user })), 404, "user_not_found");
      const { rows } = await rig.pool.query("SELECT action FROM audit_log WHERE target = $1 ORDER BY id", [`dify_user:${user}`]);
      expect(rows.map(({ action }) => action)).to.deep.equal(["dify.map_user", "dify.change_user", "dify.unmap_user"]);
    });

    it("are imported from CSV, all or nothing", async () => {
      const ada = await rig.person(0);
      const [a, b] = [unique("a"), unique("b")];
      const csv = (rows: string[]) =>
        rig.admin("POST", "/api/admin/dify/users/import", ["external_id,user_id,note", ...rows].join("\n"), { "content-type": "text/csv" });
      expect((await csv([`${a},${ada.userId},first`, `${b},${ada.userId},`])).body.data).to.deep.equal({
        added: 2,
        changed: 0,
        unchanged: 0,
      });
      expect((await csv([`${a},${ada.userId},other`, `${b},${ada.userId},`])).body.data).to.deep.equal({
        added: 0,
        changed: 1,
        unchanged: 1,
      });
      const nobody = await csv([`${unique("c")},${ada.userId},`, `${unique("d")},${randomUUID()},`]);
      refused(nobody, 400, "validation_failed");
      expect(nobody.body.error!.details).to.deep.equal([{ field: "line 3", message: "user_id is not an account" }]);
      refused(await csv([`${a},not-an-id,`]), 400, "validation_failed");
      refused(await csv([`${a},${ada.userId},`, `${a},${ada.userId},`]), 400, "validation_failed");
      refused(
        await rig.admin("POST", "/api/admin/dify/users/import", "nothing,here\n1,2", { "content-type": "text/csv" }),
        400,
        "validation_failed",
      );
      expect((await rig.admin<Page<object>>("GET", `/api/admin/dify/users?user=${ada.userId}`)).body.data.total).to.equal(2);
    });

    it("are accounts here by their own ids, by user_ and the id, and by the name that the relay gives to Dify", async () => {
      const ada = await rig.person(1_000);
      for (const user of [ada.userId, ada.userId.toUpperCase(), `user_${ada.userId}`, `tk_${ada.userId}`]) {
        expect((await rig.send(message({ user_id: user }))).status, user).to.equal(200);
      }
    });
  });
});
