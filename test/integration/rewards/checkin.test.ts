import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { useStack } from "../../support/stack.ts";
import { prove, rewardsRig, type CheckInOverview, type Page, type Rig, type Somebody } from "./rig.ts";

const DAY_MS = 86_400_000;

describe("check-in", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
  });
  beforeEach(() => rig.set({ "checkin.rewards": ["1", "2", "5"], "checkin.past_table": null, "checkin.expires_days": null }));
  afterEach(() => prove(rig));
  after(() => rig.close());

  const checkIn = (who: Somebody, key?: string) => who.call("POST", "/api/user/checkin", {}, key ? { "idempotency-key": key } : {});
  const overview = async (who: Somebody, query = "") => (await who.call<CheckInOverview>("GET", `/api/user/checkin${query}`)).data;

  it("pays at once, says reward, streak and balance, and is in the history with its type", async () => {
    const ada = await rig.somebody();
    rig.clock.set("2026-11-21T04:00:00Z");
    const first = await checkIn(ada);
    expect([first.status, first.data]).to.deep.equal([201, { reward: "1", streak: 1, balance: "1", day: "2026-11-21" }]);
    const again = await checkIn(ada);
    expect([again.status, again.error?.code]).to.deep.equal([409, "already_checked_in"]);
    expect(again.error?.details).to.deep.equal({ today: "2026-11-21", next_at: "2026-11-21T16:00:00.000Z", streak: 1 });
    expect(await ada.total()).to.equal(1n * MICRO);
    for (const path of ["/api/user/transactions", "/api/user/points/history"]) {
      const { items } = (await ada.call<Page>("GET", `${path}?type=CHECKIN`)).data;
      expect(items).to.have.length(1);
      expect(items[0]).to.include({
        type: "CHECKIN",
        amount: "1",
        balance_after: "1",
        source: "checkin",
        description: "Check-in, day 1 in a row",
        reference: "checkin:2026-11-21",
      });
    }
  });

  it("at 23:59:59 and at 00:00:00 local time is two days", async () => {
    const ada = await rig.somebody({ timeZone: "Europe/Berlin" });
    rig.clock.set("2026-11-21T22:59:59.000Z");
    expect((await checkIn(ada)).data).to.include({ day: "2026-11-21", streak: 1, reward: "1" });
    rig.clock.set("2026-11-21T22:59:59.999Z");
    expect((await checkIn(ada)).status).to.equal(409);
    rig.clock.set("2026-11-21T23:00:00.000Z");
    expect((await checkIn(ada)).data).to.include({ day: "2026-11-22", streak: 2, reward: "2", balance: "3" });
  });

  it("a hundred at the same instant pay once", async () => {
    const ada = await rig.somebody();
    rig.clock.set("2026-11-21T04:00:00Z");
    const answers = await Promise.all(Array.from({ length: 100 }, () => checkIn(ada)));
    expect(answers.filter(({ status }) => status === 201)).to.have.length(1);
    expect(answers.filter(({ error }) => error?.code === "already_checked_in")).to.have.length(99);
    expect(await ada.total()).to.equal(1n * MICRO);
  });

  it("the same Idempotency-Key gets the same answer, also when the first answer was lost", async () => {
    const ada = await rig.somebody();
    rig.clock.set("2026-11-21T04:00:00Z");
    const answers = await Promise.all(Array.from({ length: 20 }, () => checkIn(ada, "one")));
    for (const { status, data } of answers) expect([status, data]).to.deep.equal([201, answers[0]!.data]);
    await rig.pool.query("DELETE FROM idempotency_keys");
    expect((await checkIn(ada, "one")).data).to.deep.equal(answers[0]!.data);
    expect((await checkIn(ada, "two")).error?.code).to.equal("already_checked_in");
    expect(await ada.total()).to.equal(1n * MICRO);
  });

  it("days in a row follow the table, a missed day begins anew, and the table's end is as the setting says", async () => {
    const ada = await rig.somebody();
    const days = async (from: string, count: number) => {
      const paid: unknown[] = [];
      for (let day = 0; day < count; day++) {
        rig.clock.set(new Date(from).getTime() + day * DAY_MS);
        paid.push((await checkIn(ada)).data["reward"]);
      }
      return paid;
    };
    expect(await days("2026-11-01T04:00:00Z", 5)).to.deep.equal(["1", "2", "5", "5", "5"]);
    expect(await days("2026-11-07T04:00:00Z", 2)).to.deep.equal(["1", "2"]);
    await rig.set({ "checkin.past_table": "repeat" });
    expect(await days("2026-11-09T04:00:00Z", 3)).to.deep.equal(["5", "1", "2"]);
    rig.clock.set("2026-11-11T10:00:00Z");
    const seen = await overview(ada, "?month=2026-11&page=2&page_size=4");
    expect(seen).to.include({ checked_in_today: true, streak: 5, next_reward: "5", next_at: "2026-11-11T16:00:00.000Z", month: "2026-11" });
    expect(seen.calendar.map((day) => day.day.slice(8))).to.deep.equal(["01", "02", "03", "04", "05", "07", "08", "09", "10", "11"]);
    expect([seen.records.total, seen.records.items.map((day) => day.day.slice(8))]).to.deep.equal([10, ["07", "05", "04", "03"]]);
    rig.clock.set("2026-11-12T10:00:00Z");
    expect(await overview(ada)).to.include({ checked_in_today: false, streak: 5, next_reward: "5", next_at: null });
    rig.clock.set("2026-11-13T10:00:00Z");
    expect(await overview(ada)).to.include({ checked_in_today: false, streak: 0, next_reward: "1", next_at: null });
  });

  it("a change of the time zone pays no day twice", async () => {
    const ada = await rig.somebody({ timeZone: "Pacific/Kiritimati" });
    const move = (zone: string) => rig.pool.query("UPDATE users SET time_zone = $2 WHERE id = $1", [ada.id, zone]);
    rig.clock.set("2026-11-21T09:30:00Z");
    expect((await checkIn(ada)).data["day"]).to.equal("2026-11-21");
    // The same instant is the 20th there: no day of the past, and no second one today.
    await move("Pacific/Pago_Pago");
    expect((await checkIn(ada)).error?.code).to.equal("already_checked_in");
    rig.clock.set("2026-11-22T10:59:59Z");
    expect((await checkIn(ada)).status).to.equal(409);
    rig.clock.set("2026-11-22T11:00:00Z");
    expect((await checkIn(ada)).data).to.include({ day: "2026-11-22", streak: 2 });
    // And back: at once it is the 23rd there.
    await move("Pacific/Kiritimati");
    const early = await checkIn(ada);
    expect([early.status, early.error?.details?.["next_at"]]).to.deep.equal([409, "2026-11-23T11:00:00.000Z"]);
    const { rows } = await rig.pool.query("SELECT day FROM checkins WHERE user_id = $1", [ada.id]);
    expect(rows).to.have.length(2);
  });

  it("a hundred at once while the zone is changed to and fro pay once", async () => {
    const ada = await rig.somebody();
    rig.clock.set("2026-11-21T09:30:00Z");
    const zones = ["Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Pago_Pago"];
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        await rig.pool.query("UPDATE users SET time_zone = $2 WHERE id = $1", [ada.id, zones[index % 3]]);
        return checkIn(ada);
      }),
    );
    expect(answers.filter(({ status }) => status === 201)).to.have.length(1);
    expect(await ada.total()).to.equal(1n * MICRO);
  });

  it("is for people whose address is proven, and only while it is switched on", async () => {
    const unproven = await rig.somebody({ verified: false });
    expect((await checkIn(unproven)).error?.code).to.equal("email_not_verified");
    const ada = await rig.somebody();
    await rig.set({ "checkin.enabled": false });
    expect((await checkIn(ada)).error?.code).to.equal("invalid_state");
    await rig.set({ "checkin.enabled": null });
    expect((await checkIn(ada)).status).to.equal(201);
    expect((await ada.call("POST", "/api/user/checkin", { day: "2026-11-20" })).error?.code).to.equal("validation_failed");
  });

  it("its credit has the priority and the expiry of the settings", async () => {
    const ada = await rig.somebody();
    await rig.set({ "checkin.expires_days": 7, "checkin.priority": 5 });
    rig.clock.set(Date.now());
    await checkIn(ada);
    await rig.set({ "checkin.priority": null });
    const { rows } = await rig.pool.query<{ priority: number; days: number }>(
      "SELECT priority, round(extract(epoch FROM expires_at - created_at) / 86400)::int AS days FROM ledger_grants WHERE wallet_id = $1",
      [ada.walletId],
    );
    expect(rows).to.deep.equal([{ priority: 5, days: 7 }]);
  });

  it("on a day that pays nothing counts all the same", async () => {
    await rig.set({ "checkin.rewards": ["0", "3"] });
    const ada = await rig.somebody();
    rig.clock.set("2026-11-21T04:00:00Z");
    expect((await checkIn(ada)).data).to.deep.equal({ reward: "0", streak: 1, balance: "0", day: "2026-11-21" });
    rig.clock.set("2026-11-22T04:00:00Z");
    expect((await checkIn(ada)).data).to.include({ reward: "3", streak: 2, balance: "3" });
  });

  it("of somebody who owes pays that first, and the answer says what is left", async () => {
    const ada = await rig.somebody();
    await inTransaction(rig.pool, (tx) =>
      rig.ledger.settle(tx, [
        {
          id: uuidv7(),
          holdId: null,
          walletId: ada.walletId,
          cost: 2_500_000n,
          to: "revenue:usage",
          type: "CONSUMPTION",
          description: "a message",
          reference: "m",
        },
      ]),
    );
    rig.clock.set("2026-11-21T04:00:00Z");
    expect((await checkIn(ada)).data).to.include({ reward: "1", balance: "0" });
    rig.clock.set("2026-11-22T04:00:00Z");
    expect((await checkIn(ada)).data).to.include({ reward: "2", balance: "0.5" });
    expect(await ada.total()).to.equal(500_000n);
  });

  it("a process that dies between the day and its credit leaves neither", async () => {
    const ada = await rig.somebody();
    rig.clock.set("2026-11-21T04:00:00Z");
    // The row comes after the credit: a failure there takes the credit with it.
    await rig.pool
      .query(`CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
      CREATE TRIGGER die AFTER INSERT ON checkins FOR EACH ROW EXECUTE FUNCTION die()`);
    try {
      expect((await checkIn(ada)).status).to.be.oneOf([500, 503]);
    } finally {
      await rig.pool.query("DROP TRIGGER die ON checkins; DROP FUNCTION die");
    }
    expect(await ada.total()).to.equal(0n);
    expect((await rig.pool.query("SELECT FROM reward_payments WHERE user_id = $1", [ada.id])).rowCount).to.equal(0);
    expect((await checkIn(ada)).data).to.include({ reward: "1", balance: "1" });
  });
});
