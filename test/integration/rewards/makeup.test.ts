import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { useStack } from "../../support/stack.ts";
import { prove, rewardsRig, type CheckInOverview, type Page, type Rig, type Somebody } from "./rig.ts";

describe("making up a missed day", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
  });
  beforeEach(() =>
    rig.set({
      "checkin.rewards": ["1", "2", "5", "10"],
      "checkin.makeup_days": 3,
      "checkin.makeup_price": "0.5",
      "checkin.makeup_per_month": 2,
    }),
  );
  afterEach(() => prove(rig));
  after(() => rig.close());

  const noon = (day: string) => rig.clock.set(`2026-11-${day}T04:00:00Z`);
  async function checkIn(who: Somebody, ...days: string[]) {
    const answers = [];
    for (const day of days) {
      noon(day);
      answers.push(await who.call("POST", "/api/user/checkin", {}));
    }
    return answers;
  }
  const makeUp = (who: Somebody, day: string, key?: string) =>
    who.call("POST", "/api/user/checkin/makeup", { day: `2026-11-${day}` }, key ? { "idempotency-key": key } : {});

  it("joins the days before it with those after, and costs what the setting says", async () => {
    const ada = await rig.somebody();
    await checkIn(ada, "10", "11", "13", "14");
    expect(await ada.total()).to.equal(6n * MICRO);
    const seen = (await ada.call<CheckInOverview>("GET", "/api/user/checkin")).data;
    expect(seen.makeup).to.deep.equal({ days: ["2026-11-12"], price: "0.5", left_this_month: 2 });
    const made = await makeUp(ada, "12");
    expect([made.status, made.data]).to.deep.equal([201, { day: "2026-11-12", streak: 3, price: "0.5", balance: "5.5" }]);
    const after = (await ada.call<CheckInOverview>("GET", "/api/user/checkin")).data;
    expect(after).to.include({ streak: 5, next_reward: "10" });
    expect(after.calendar.map((day) => [day.kind, day.streak, day.reward])).to.deep.equal([
      ["checkin", 1, "1"],
      ["checkin", 2, "2"],
      ["makeup", 3, "0"],
      // What they paid then stays.
      ["checkin", 4, "1"],
      ["checkin", 5, "2"],
    ]);
    const { items } = (await ada.call<Page>("GET", "/api/user/transactions?type=CHECKIN&page_size=1")).data;
    expect(items[0]).to.include({ type: "CHECKIN", amount: "-0.5", description: "Check-in of 2026-11-12 made up" });
    expect((await checkIn(ada, "15"))[0]!.data).to.include({ streak: 6, reward: "10" });
  });

  it("happens once: again it is refused, by the same key it is answered again", async () => {
    const ada = await rig.somebody();
    await checkIn(ada, "10", "12");
    const answers = await Promise.all(Array.from({ length: 20 }, () => makeUp(ada, "11", "k")));
    for (const { status, data } of answers) expect([status, data]).to.deep.equal([201, answers[0]!.data]);
    await rig.pool.query("DELETE FROM idempotency_keys");
    expect((await makeUp(ada, "11", "k")).data).to.deep.equal(answers[0]!.data);
    expect((await makeUp(ada, "11")).error?.code).to.equal("already_checked_in");
    expect(await ada.total()).to.equal(1_500_000n);
  });

  it("reaches as far back as the setting says, not before the account, not today, not the future", async () => {
    const ada = await rig.somebody({ since: "2026-11-12T20:00:00Z" });
    await checkIn(ada, "15");
    for (const day of ["11", "12", "15", "16"]) expect((await makeUp(ada, day)).error?.code, day).to.equal("validation_failed");
    expect((await makeUp(ada, "13")).data).to.include({ streak: 1 });
    expect((await makeUp(ada, "14")).data).to.include({ streak: 2 });
    expect((await ada.call("GET", "/api/user/checkin")).data).to.include({ streak: 3 });
  });

  it("is allowed so many times a month, however many ask at once", async () => {
    const ada = await rig.somebody();
    await checkIn(ada, "14");
    const answers = await Promise.all(["11", "12", "13", "11", "12", "13"].map((day) => makeUp(ada, day)));
    expect(answers.filter(({ status }) => status === 201)).to.have.length(2);
    expect(await ada.total()).to.equal(0n);
  });

  it("needs the credits it costs, or none where it is free", async () => {
    const ada = await rig.somebody();
    noon("14");
    const refused = await makeUp(ada, "13");
    expect([refused.status, refused.error?.code, refused.error?.details]).to.deep.equal([
      402,
      "insufficient_balance",
      { available: "0", shortfall: "0.5" },
    ]);
    await rig.set({ "checkin.makeup_price": "0" });
    expect((await makeUp(ada, "13")).data).to.deep.equal({ day: "2026-11-13", streak: 1, price: "0", balance: "0" });
    expect((await checkIn(ada, "14"))[0]!.data).to.include({ streak: 2, reward: "2" });
  });

  it("is refused while the setting does not allow it", async () => {
    await rig.set({ "checkin.makeup_days": null });
    const ada = await rig.somebody();
    noon("14");
    expect((await makeUp(ada, "13")).error?.code).to.equal("invalid_state");
    expect((await ada.call<CheckInOverview>("GET", "/api/user/checkin")).data.makeup).to.deep.equal({
      days: [],
      price: "0.5",
      left_this_month: 0,
    });
  });
});
