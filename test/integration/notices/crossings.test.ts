import { expect } from "chai";
import { createNotify } from "../../../src/notify/index.ts";
import { createTell } from "../../../src/notices/index.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { createBlockingRedis } from "../../../src/platform/redis.ts";
import { useStack } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";
import { noticeRig, type NoticeRig, type Owner } from "./rig.ts";

const credits = (...amounts: number[]) => amounts.map((amount) => BigInt(amount) * MICRO);

describe("a balance that falls below a threshold", function () {
  this.timeout(30_000);
  const places = useStack();
  let rig: NoticeRig;
  before(async () => {
    rig = await noticeRig(places);
  });
  after(() => rig.close());

  /** Thresholds that were crossed, in order, told or not. */
  async function crossings(owner: Owner): Promise<number[]> {
    const { rows } = await rig.pool.query<{ threshold: bigint }>(
      "SELECT threshold FROM balance_notices WHERE wallet_id = $1 ORDER BY crossed_at, threshold DESC",
      [owner.walletId],
    );
    return rows.map(({ threshold }) => Number(threshold / MICRO));
  }

  it("is told once, by mail, with what is left", async () => {
    const ada = await rig.person(100);
    await rig.settings.change(ada, { thresholds: credits(50) });
    await rig.spend([ada, 40]);
    expect((await rig.tell.tell()).notices).to.equal(0);
    await rig.spend([ada, 20.5]);
    await rig.spend([ada, 5]);
    await Promise.all([rig.tell.tell(), rig.tell.tell(), rig.tell.tell()]);
    expect(rig.pushed).to.deep.equal([{ userId: ada.userId, kind: "balance.low", threshold: "50", balance: "39.5" }]);
    expect(await rig.mails(ada)).to.have.length(1);
    expect((await rig.mails(ada))[0]).to.deep.include({ template: "low_balance" });
    expect((await rig.mails(ada))[0]!.data).to.include({ threshold: "50", balance: "39.5", name: "Ada" });
    expect((await rig.tell.tell()).notices).to.equal(0);
  });

  it("is told again only after the balance has risen above it", async () => {
    const bob = await rig.person(60);
    await rig.settings.change(bob, { thresholds: credits(50) });
    await rig.spend([bob, 20]);
    await rig.credit(bob, 10);
    await rig.spend([bob, 1]);
    expect(await crossings(bob), "50 is not above 50").to.deep.equal([50]);
    await rig.credit(bob, 2);
    await rig.spend([bob, 1]);
    expect(await crossings(bob), "neither is 50 below 50").to.deep.equal([50]);
    await rig.spend([bob, 1]);
    expect(await crossings(bob)).to.deep.equal([50, 50]);
  });

  it("counts whatever took the credit, several thresholds at once, and each wallet for itself", async () => {
    const [eve, joan, someone] = [await rig.person(100), await rig.person(100), await rig.person(100)];
    await rig.settings.change(eve, { thresholds: credits(80, 10, 50) });
    await rig.settings.change(joan, { thresholds: credits(99) });
    await rig.spend([eve, 30], [joan, 0.5], [someone, 99], [eve, 25]);
    expect(await crossings(eve), "one settlement, two thresholds").to.deep.equal([80, 50]);
    expect(await crossings(joan)).to.deep.equal([]);
    await rig.ledger.debit(rig.pool, {
      id: `take:${eve.userId}`,
      walletId: eve.walletId,
      amount: 40n * MICRO,
      to: "adjustments",
      type: "ADMIN",
      description: "taken by an operator",
    });
    expect(await crossings(eve)).to.deep.equal([80, 50, 10]);
    expect(await crossings(someone)).to.deep.equal([]);
  });

  it("counts expired credit, and not what running calls hold", async () => {
    const dan = await rig.person(20);
    await rig.ledger.credit(rig.pool, {
      id: `short:${dan.userId}`,
      walletId: dan.walletId,
      amount: 80n * MICRO,
      from: "grants:test",
      source: "bonus",
      type: "BONUS",
      expiresAt: new Date(Date.now() + 3_600_000),
      description: "for an hour",
    });
    await rig.settings.change(dan, { thresholds: credits(50) });
    await rig.ledger.authorize({ id: crypto.randomUUID(), walletId: dan.walletId, amount: 5n * MICRO, owner: "test", ttlMs: 60_000 });
    expect(await crossings(dan)).to.deep.equal([]);
    while ((await rig.ledger.expireGrants(new Date(Date.now() + 7_200_000))) > 0);
    expect(await crossings(dan)).to.deep.equal([50]);
  });

  it("that is set while the balance is below waits for it to rise; one that is set again keeps its state", async () => {
    const kim = await rig.person(10);
    await rig.settings.change(kim, { thresholds: credits(50) });
    await rig.spend([kim, 1]);
    expect(await crossings(kim)).to.deep.equal([]);
    await rig.credit(kim, 91);
    await rig.settings.change(kim, { thresholds: credits(50, 20) });
    await rig.spend([kim, 70]);
    expect(await crossings(kim)).to.deep.equal([50]);
    expect(await rig.settings.read(kim)).to.deep.include({ thresholds: ["50", "20"], email: true, webhook: null });
    await rig.settings.change(kim, { thresholds: credits(20) });
    await rig.spend([kim, 15]);
    expect(await crossings(kim)).to.deep.equal([50, 20]);
  });

  it("is seen once in 200 charges at the same time", async () => {
    const pat = await rig.person(1_000);
    await rig.settings.change(pat, { thresholds: credits(500) });
    await Promise.all(Array.from({ length: 200 }, () => rig.spend([pat, 4])));
    expect((await rig.ledger.balance(pat.walletId)).total).to.equal(200n * MICRO);
    expect(await crossings(pat)).to.deep.equal([500]);
    await Promise.all(Array.from({ length: 4 }, () => rig.tell.tell()));
    expect(await rig.mails(pat)).to.have.length(1);
  });

  it("is told when Redis is back, if it was away", async () => {
    const zoe = await rig.person(100);
    await rig.settings.change(zoe, { thresholds: credits(50) });
    const gone = createBlockingRedis({ url: "redis://127.0.0.1:1", log: silent });
    const notify = createNotify({ redis: gone, log: silent });
    const contact = async (userId: string) => ({ email: `${userId}@example.com`, locale: "en" as const, name: "Zoe" });
    const cut = createTell({ pool: rig.pool, notify, contact, publicUrl: "", push: () => undefined, log: silent });
    try {
      await rig.spend([zoe, 60]);
      const failure = await cut.tell().catch((error: Error) => error);
      expect(failure).to.be.instanceOf(Error);
      expect(await crossings(zoe)).to.deep.equal([50]);
    } finally {
      await notify.close();
      gone.disconnect();
    }
    expect((await rig.tell.tell()).notices).to.be.at.least(1);
    expect(await rig.mails(zoe)).to.have.length(1);
  });

  it("that cannot be told holds up no other, and is told once it can be", async () => {
    const [lea, max, ned, oda] = await Promise.all([1, 2, 3, 4].map(() => rig.person(100)));
    for (const who of [lea!, max!, ned!, oda!]) {
      await rig.settings.change(who, { thresholds: credits(50) });
      await rig.spend([who, 60]);
    }
    const broken = new Set([lea!.userId, ned!.userId]);
    const contact = async (userId: string) => {
      if (broken.has(userId)) throw new Error("no such template");
      return { email: `${userId}@example.com`, locale: "en" as const, name: "Max" };
    };
    const tell = createTell({ pool: rig.pool, notify: rig.notify, contact, publicUrl: "", push: () => undefined, log: silent });
    const mailed = async () => Promise.all([lea!, max!, ned!, oda!].map(async (who) => (await rig.mails(who)).length));
    expect(await tell.tell()).to.include({ notices: 2, failed: 2 });
    expect(await mailed()).to.deep.equal([0, 1, 0, 1]);
    expect(await tell.tell().catch((error: Error) => error.message), "nobody could be told").to.equal("no such template");
    broken.clear();
    expect(await tell.tell()).to.include({ notices: 2, failed: 0 });
    expect(await mailed()).to.deep.equal([1, 1, 1, 1]);
  });

  it("is not mailed to who wants no mail", async () => {
    const tim = await rig.person(100);
    await rig.settings.change(tim, { thresholds: credits(50), email: false });
    await rig.spend([tim, 60]);
    await rig.tell.tell();
    expect(await rig.mails(tim)).to.deep.equal([]);
    const proof = await rig.ledger.verify();
    expect(proof.differences).to.deep.equal([]);
  });
});
