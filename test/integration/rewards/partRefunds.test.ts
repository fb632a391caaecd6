import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { useStack } from "../../support/stack.ts";
import { refunding } from "./refunding.ts";
import { prove, rewardsRig, type Page, type Rig } from "./rig.ts";

describe("rewards of a top-up that is refunded in part, or spent before", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
    await rig.set({
      "referral.enabled": true,
      "referral.referrer_reward": "8",
      "referral.referred_reward": "3",
      "referral.min_topup": "50",
    });
  });
  afterEach(() => prove(rig));
  after(() => rig.close());
  const { deliver, follow, campaign, pause, referral, stateOf, reversalsOf, totals, spend } = refunding(() => rig);

  it("spent before the refund are held back from later rewards, until all has come back", async () => {
    const ada = await rig.somebody();
    const [offer, gift] = [await campaign({ trigger: "topup" }), await campaign({ reward: "4" })];
    const order = await follow(ada);
    await spend(ada, 10n);
    await rig.refund(order);
    await deliver();
    expect(await totals(ada), "nothing that was bought pays for it").to.deep.equal(["100"]);
    expect((await reversalsOf(ada))[0]).to.include({ recovered: "0", withheld: "0", lost: "10", status: "ended" });

    const claim = () => ada.call<{ balance: string }>("POST", `/api/user/campaigns/${gift.code}/claim`, {});
    const claimed = await claim();
    expect(claimed.status).to.equal(201);
    expect(claimed.data).to.include({ balance: "100" });
    expect((await reversalsOf(ada))[0]).to.include({ withheld: "4", lost: "6" });
    // The same game again: this reward is held back for the first.
    const again = await follow(ada);
    await pause(offer);
    expect(await totals(ada)).to.deep.equal(["204"]);
    expect((await reversalsOf(ada))[0]).to.include({ withheld: "10", lost: "0" });
    await spend(ada, 4n);
    await rig.refund(again);
    await deliver();
    expect((await reversalsOf(ada)).map(({ recovered, withheld, lost }) => [recovered, withheld, lost])).to.deep.equal([
      ["0", "0", "10"],
      ["0", "10", "0"],
    ]);
    for (const left of ["200", "200", "202"]) {
      await claim();
      expect(await totals(ada)).to.deep.equal([left]);
    }
    expect((await reversalsOf(ada))[0]).to.include({ withheld: "10", lost: "0" });
    const { items } = (await ada.call<Page>("GET", "/api/user/transactions?type=BONUS&page_size=3")).data;
    expect(items.map(({ amount, description }) => [amount, description])).to.deep.equal([
      ["-2", "Held back: rewards of refunded top-ups were spent"],
      ["4", "Campaign: Spring"],
      ["-4", "Held back: rewards of refunded top-ups were spent"],
    ]);
  });

  it("stay while what is left after a refund of a part is enough, and go when it is not", async () => {
    const [ada, ben] = await referral();
    const offer = await campaign({ trigger: "topup", min_topup: "80" });
    const anySize = await campaign({ trigger: "topup", reward: "1" });
    const order = await follow(ben);
    await Promise.all([pause(offer), pause(anySize)]);
    expect(await totals(ada, ben)).to.deep.equal(["8", "114"]);
    const refund = async (credits: bigint) => {
      await inTransaction(rig.pool, (tx) => rig.rewards.topUps.noteRefund(tx, order, credits * MICRO));
      await deliver();
      return [await totals(ada, ben), (await stateOf(ben))["status"]];
    };
    expect(await refund(20n), "80 are left: all stay").to.deep.equal([["8", "114"], "paid"]);
    expect(await refund(30n), "50 are left: the campaign asked for 80").to.deep.equal([["8", "104"], "paid"]);
    expect(await refund(1n), "49 are left: the referral asked for 50").to.deep.equal([["0", "101"], "reversed"]);
    expect(await refund(49n), "none are left").to.deep.equal([["0", "100"], "reversed"]);
    expect(await reversalsOf(ben)).to.have.length(3);
  });

  it("are not paid when a part is refunded before and too little is left", async () => {
    const [ada, ben] = await referral();
    const offer = await campaign({ trigger: "topup", min_topup: "80" });
    const order = await rig.topUp(ben, 100);
    await inTransaction(rig.pool, (tx) => rig.rewards.topUps.noteRefund(tx, order, 60n * MICRO));
    await rig.rewards.topUps.follow(order);
    await deliver();
    expect(await totals(ada, ben)).to.deep.equal(["0", "100"]);
    expect((await stateOf(ben))["status"]).to.equal("pending");
    await pause(offer);
    await follow(ben, 50);
    expect(await totals(ada, ben)).to.deep.equal(["8", "153"]);
  });

  it("that a part's refund left are taken back when the order is refunded", async () => {
    const ada = await rig.somebody();
    const offer = await campaign({ trigger: "topup" });
    const order = await follow(ada);
    await pause(offer);
    await inTransaction(rig.pool, (tx) => rig.rewards.topUps.noteRefund(tx, order, 20n * MICRO));
    await deliver();
    expect(await totals(ada)).to.deep.equal(["110"]);
    await rig.refund(order);
    await deliver();
    expect(await totals(ada)).to.deep.equal(["100"]);
  });

  it("of one person come one after the other, so that no more is held back than is missing", async () => {
    const ada = await rig.somebody();
    const offer = await campaign({ trigger: "topup", reward: "5" });
    const order = await follow(ada);
    await pause(offer);
    await spend(ada, 5n);
    await rig.refund(order);
    await deliver();
    const gifts = await Promise.all(Array.from({ length: 6 }, () => campaign({ reward: "2" })));
    await Promise.all(gifts.map(({ code }) => ada.call("POST", `/api/user/campaigns/${code}/claim`, {})));
    expect(await totals(ada)).to.deep.equal(["107"]);
    expect((await reversalsOf(ada))[0]).to.include({ withheld: "5", lost: "0" });
  });
});
