import { expect } from "chai";
import { formatCredits, MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { unique } from "../../support/people.ts";
import type { Page, Rig, Somebody } from "./rig.ts";

/** What tests of refunds do again and again, with the rig of their `before`. */
export function refunding(rig: () => Rig) {
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000).toISOString();
  const deliver = () => rig().rewards.topUps.deliver();
  const follow = async (who: Somebody, credits = 100) => {
    const order = await rig().topUp(who, credits);
    await rig().rewards.topUps.follow(order);
    return order;
  };
  async function campaign(more: object): Promise<{ id: string; code: string }> {
    const { status, data } = await rig().operator.call<{ id: string; code: string }>("POST", "/api/admin/campaigns", {
      code: unique("R").slice(0, 20),
      name: "Spring",
      starts_at: hours(-1),
      ends_at: hours(1),
      reward: "10",
      budget: "1000",
      most_per_user: 10,
      ...more,
    });
    expect(status).to.equal(201);
    return data;
  }
  const pause = ({ id }: { id: string }) => rig().operator.call("PATCH", `/api/admin/campaigns/${id}`, { status: "paused" });
  async function referral(): Promise<[Somebody, Somebody]> {
    const [ada, ben] = [await rig().somebody(), await rig().somebody()];
    const { code } = (await ada.call<{ code: string }>("GET", "/api/user/referrals")).data;
    const party = (who: Somebody) => ({ id: who.id, email: `${who.id}@example.com`, devices: [] });
    await inTransaction(rig().pool, (tx) => rig().rewards.referrals.attach(tx, { code, referrer: party(ada), referred: party(ben) }));
    return [ada, ben];
  }
  const stateOf = async (who: Somebody) =>
    (await rig().operator.call<Page>("GET", `/api/admin/referrals?referred_id=${who.id}`)).data.items[0]!;
  const reversalsOf = async (who: Somebody) =>
    (await rig().operator.call<Page>("GET", `/api/admin/rewards/reversals?user_id=${who.id}`)).data.items;
  const totals = async (...people: Somebody[]) => Promise.all(people.map(async (who) => formatCredits(await who.total())));
  async function hold(who: Somebody, credits: bigint): Promise<string> {
    const id = uuidv7();
    const held = await rig().ledger.authorize({ id, walletId: who.walletId, amount: credits * MICRO, owner: "test", ttlMs: 60_000 });
    expect(held.kind).to.equal("held");
    return id;
  }
  async function spend(who: Somebody, credits: bigint): Promise<void> {
    const done = await rig().ledger.debit(rig().pool, {
      id: `test:${uuidv7()}`,
      walletId: who.walletId,
      amount: credits * MICRO,
      to: "adjustments",
      type: "ADMIN",
      description: "spent",
    });
    expect(done.kind).to.equal("ok");
  }
  return { deliver, follow, campaign, pause, referral, stateOf, reversalsOf, totals, hold, spend };
}
