import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { EventView } from "../../../src/usage/dify/inbox.ts";
import { announce } from "../../../src/platform/invalidation.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { message, startDify, type DifyRig, type Page, type Person } from "./rig.ts";

const MICRO = 1_000_000n;

describe("a message of Dify that must not hold up others", function () {
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

  const total = async (person: Person) => (await rig.balance(person)).total;
  const events = async (query: string) => (await rig.admin<Page<EventView>>("GET", `/api/admin/dify/events?${query}`)).body.data.items;
  const incidents = async (kind: string, subject: string) =>
    (
      await rig.pool.query<{ details: Record<string, unknown>; resolved: boolean }>(
        "SELECT details, resolved_at IS NOT NULL AS resolved FROM incidents WHERE kind = $1 AND subject LIKE $2 || '%' ORDER BY created_at",
        [kind, subject],
      )
    ).rows;

  /** An account whose wallet the ledger does not know: nothing can be charged to it. */
  async function broken(): Promise<Person> {
    const person = await rig.person(0);
    const walletId = person.walletId + 1_000_000_000n;
    await rig.pool.query("UPDATE users SET wallet_id = $2 WHERE id = $1", [person.userId, walletId]);
    return person;
  }

  it("and cannot be charged at all is put aside for operators, while everybody else's of its batch are charged", async () => {
    const [ada, poison] = [await rig.person(100_000), await broken()];
    const bodies = Array.from({ length: 150 }, (_, n) => message({ user_id: n === 70 || n === 71 ? poison.userId : ada.userId }));
    const answers = await Promise.all(bodies.map((body) => rig.send(body)));
    const bad = [70, 71];
    expect(answers.map(({ status }) => status)).to.deep.equal(answers.map((_, n) => (bad.includes(n) ? 500 : 200)));
    expect(answers[70]!.body).to.deep.include({ success: false, error: { code: "internal_error" } });
    expect(await total(ada)).to.equal((100_000n - 148n * 93n) * MICRO);

    const open = await events(`state=open&external_user=${poison.userId}`);
    expect(open.map(({ reason, points }) => [reason, points])).to.deep.equal([
      ["settlement_refused", null],
      ["settlement_refused", null],
    ]);
    for (const { id, message_id } of open) {
      const [incident] = await incidents("settlement_refused", id);
      expect(incident!.details).to.include({ message_id }).and.to.have.property("error");
    }
  });

  it("is charged when its cause is mended, by a repeat or an operator, and its incident closes", async () => {
    const poison = await broken();
    const bodies = [message({ user_id: poison.userId }), message({ user_id: poison.userId })];
    for (const body of bodies) expect((await rig.send(body)).status).to.equal(500);
    const open = await events(`state=open&external_user=${poison.userId}`);
    const still = await rig.admin("POST", `/api/admin/dify/events/${open[0]!.id}/replay`);
    expect(still.body.data).to.include({ state: "open", reason: "settlement_refused" });

    await rig.pool.query("UPDATE users SET wallet_id = $2 WHERE id = $1", [poison.userId, poison.walletId]);
    await announce(rig.pool, "user", poison.userId);
    await rig.credit(poison, 1_000);
    await waitFor(async () => (await rig.send(bodies[0]!)).status === 200, { message: "a repeat to be charged" });
    const all = await rig.admin<{ tried: number; charged: number }>("POST", "/api/admin/dify/events/replay", {
      reason: "settlement_refused",
    });
    expect(all.body.data.charged).to.equal(1);
    expect(await total(poison)).to.equal(814n * MICRO);
    for (const { id } of open) expect((await incidents("settlement_refused", id)).map(({ resolved }) => resolved)).to.deep.equal([true]);
  });

  it("and comes again corrected is charged once by what it said first; each correction is an incident that shows both", async () => {
    const ada = await rig.person(1_000);
    const first = message({ user_id: ada.userId });
    const answer = await rig.send(first);
    const corrected = { ...first, data: { ...first.data, output_tokens: 900, total_tokens: 2_400 } };
    for (const body of [corrected, corrected, { ...first, data: { ...first.data, model_name: "gpt-5" } }]) {
      expect(await rig.send(body)).to.deep.equal(answer);
    }
    expect(await total(ada)).to.equal(907n * MICRO);
    const [event] = await events(`message_id=${String(first.data["message_id"])}`);
    const found = await incidents("message_differs", event!.id);
    expect(found.map(({ details }) => [details["first"], details["second"]])).to.deep.equal(
      [{ output_tokens: 900, total_tokens: 2_400 }, { model: "gpt-5" }].map((change) => {
        const said = {
          message_id: first.data["message_id"],
          user: ada.userId,
          model: "gpt-4",
          input_tokens: 1_500,
          output_tokens: 800,
          total_tokens: 2_300,
        };
        return [said, { ...said, ...change }];
      }),
    );
    expect(found[0]!.details).to.include({ event: event!.id });
  });

  it("and comes with its correction in one batch is no different", async () => {
    const ada = await rig.person(1_000);
    const first = message({ user_id: ada.userId });
    const corrected = { ...first, data: { ...first.data, input_tokens: 1, total_tokens: 801 } };
    const answers = await Promise.all([rig.send(first), rig.send(corrected), rig.send(first), rig.send(corrected)]);
    expect(new Set(answers.map(({ text }) => text)).size).to.equal(1);
    const [event] = await events(`message_id=${String(first.data["message_id"])}`);
    expect(await incidents("message_differs", event!.id)).to.have.length(1);
  });

  it("and names the request id of another is an incident, for it is not charged under that", async () => {
    const ada = await rig.person(1_000);
    const [one, two] = [message({ user_id: ada.userId }), message({ user_id: ada.userId })];
    await rig.send(one);
    await rig.send({ ...two, request_id: one.request_id });
    const [event] = await events(`message_id=${String(one.data["message_id"])}`);
    const [incident] = await incidents("message_differs", event!.id);
    expect(incident!.details["second"]).to.include({ message_id: two.data["message_id"] });
    expect(await total(ada)).to.equal(907n * MICRO);
  });

  it("and is dated back lands in the partition of its day, which is made for it", async () => {
    const ada = await rig.person(10_000);
    const at = (days: number) => new Date(Date.now() - days * 86_400_000);
    const partition = (time: Date) => `usage_events_p${time.toISOString().slice(0, 10).replaceAll("-", "")}`;
    for (const days of [29, 12, 5]) {
      const [one, other] = [at(days), at(days)].map((time) => message({ user_id: ada.userId, timestamp: time.toISOString() }));
      expect((await Promise.all([rig.send(one!), rig.send(other!)])).map(({ status }) => status)).to.deep.equal([200, 200]);
      const { rows } = await rig.pool.query(`SELECT count(*)::integer AS count FROM ${partition(at(days))}`);
      expect(rows, `${days} days ago`).to.deep.equal([{ count: 2 }]);
    }
    expect((await rig.pool.query("SELECT count(*)::integer AS count FROM usage_events_default")).rows).to.deep.equal([{ count: 0 }]);
    expect(await total(ada)).to.equal((10_000n - 6n * 93n) * MICRO);
  });

  it("and is dated back is charged also while the net cannot be locked, and waits there for the housekeeping", async () => {
    const ada = await rig.person(1_000);
    const day = new Date(Date.now() - 20 * 86_400_000);
    const reader = await rig.pool.connect();
    try {
      await reader.query("BEGIN");
      await reader.query("LOCK TABLE usage_events_default IN ACCESS SHARE MODE");
      expect((await rig.send(message({ user_id: ada.userId, timestamp: day.toISOString() }))).status).to.equal(200);
    } finally {
      await reader.query("ROLLBACK");
      reader.release();
    }
    expect((await rig.pool.query("SELECT count(*)::integer AS count FROM usage_events_default")).rows).to.deep.equal([{ count: 1 }]);
    await rig.pool.query("SELECT usage_make_partitions(3)");
    expect((await rig.pool.query("SELECT count(*)::integer AS count FROM usage_events_default")).rows).to.deep.equal([{ count: 0 }]);
  });
});

describe("Dify's webhook with one connection", function () {
  this.timeout(60_000);
  const places = useStack();

  it("takes, repeats and tries again what is open: no transaction waits for a second connection", async () => {
    const rig = await startDify(places.databaseUrl, { connections: 1 });
    try {
      await rig.model("gpt-4");
      const ada = await rig.person(1_000);
      const user = `user-${randomUUID()}`;
      const bodies = [message({ user_id: user }), message({ user_id: user })];
      const all = () => Promise.all(bodies.map((body) => rig.send(body)));
      expect((await all()).map(({ status }) => status)).to.deep.equal([404, 404]);
      expect((await all()).map(({ status }) => status)).to.deep.equal([404, 404]);
      await rig.admin("POST", "/api/admin/dify/users", { external_id: user, user_id: ada.userId });
      expect((await all()).map(({ body }) => body.data.pointsDeducted)).to.deep.equal([93, 93]);
      expect((await rig.balance(ada)).total).to.equal(814n * MICRO);
    } finally {
      await rig.close();
    }
  });
});
