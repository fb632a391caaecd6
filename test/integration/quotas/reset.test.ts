import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { quotaRig, runAll, type QuotaRig } from "./rig.ts";

const credits = (amount: number) => BigInt(amount) * MICRO;

interface Stated {
  starts_at: Date;
  opening: bigint;
  credits: bigint;
  consumption: bigint;
  expiry: bigint;
  other: bigint;
  closing: bigint;
  consumption_by_model: { model: string | null; requests: string; cost: string }[];
}

describe("a reset", () => {
  let rig: QuotaRig;
  before(async () => (rig = await quotaRig()));
  afterEach(async () => expect((await rig.ledger.verify()).differences).to.deep.equal([]));
  after(() => rig.close());

  const at = (time: string) => (rig.clock.at = new Date(time));
  const balance = async (walletId: bigint) => (await rig.ledger.balance(walletId)).total;
  async function opened(userId: string): Promise<number> {
    const { rows } = await rig.pool.query<{ periods: number }>(
      "SELECT count(*)::integer AS periods FROM subscription_periods WHERE user_id = $1",
      [userId],
    );
    return rows[0]!.periods;
  }
  async function statements(userId: string) {
    const { rows } = await rig.pool.query<Stated>("SELECT * FROM statements WHERE user_id = $1 ORDER BY starts_at", [userId]);
    return rows.map(({ starts_at, opening, credits: received, consumption, expiry, other, closing }) => [
      starts_at.toISOString().slice(0, 16),
      ...[opening, received, consumption, expiry, other, closing].map((amount) => Number(amount) / 1e6),
    ]);
  }

  it("opens the period with its allowance, which ends with it, and grants nothing twice", async () => {
    await rig.plan("hundred", 100);
    const ada = await rig.subscriber("2032-03-10T00:00:00Z", "hundred", { resetDay: 15 });
    at("2032-03-10T01:00:00Z");
    await runAll(rig);
    await runAll(rig);
    expect(await opened(ada.userId)).to.equal(1);
    expect(await balance(ada.walletId)).to.equal(credits(100));
    at("2032-03-14T15:59:59Z");
    await runAll(rig);
    expect(await opened(ada.userId)).to.equal(1);
    at("2032-03-14T16:00:00Z");
    await runAll(rig);
    expect(await opened(ada.userId)).to.equal(2);
    expect(await balance(ada.walletId)).to.equal(credits(100));
    expect((await rig.transfers(ada.walletId)).map(({ type, amount }) => [type, amount])).to.deep.equal([
      ["ALLOWANCE", credits(100)],
      ["EXPIRY", -credits(100)],
      ["ALLOWANCE", credits(100)],
    ]);
    expect(await statements(ada.userId)).to.deep.equal([["2032-03-10T00:00", 0, 100, 0, 100, 0, 0]]);
  });

  it("after a year of downtime opens each of the twelve periods once, whoever runs at the same time, and states each", async () => {
    await rig.plan("ten", 10);
    const ada = await rig.subscriber("2031-01-31T16:00:00Z", "ten");
    at("2032-01-31T15:59:00Z");
    await Promise.all([runAll(rig), runAll(rig.another()), runAll(rig.another())]);
    expect(await opened(ada.userId)).to.equal(12);
    const allowances = (await rig.transfers(ada.walletId)).filter(({ type }) => type === "ALLOWANCE");
    expect(new Set(allowances.map(({ id }) => id)).size).to.equal(12);
    expect(allowances).to.have.length(12);
    expect(await balance(ada.walletId)).to.equal(credits(10));
    const stated = await statements(ada.userId);
    expect(stated).to.have.length(11);
    for (const [, ...amounts] of stated) expect(amounts).to.deep.equal([0, 10, 0, 10, 0, 0]);
    at("2032-01-31T16:00:00Z");
    await runAll(rig);
    expect(await statements(ada.userId)).to.have.length(12);
  });

  it("a statement is exact to the call: what began in a period is on its statement, also when it was settled after the reset", async () => {
    await rig.plan("plenty", 1_000);
    const ada = await rig.subscriber("2032-04-30T16:00:00Z", "plenty");
    at("2032-05-02T00:00:00Z");
    await runAll(rig);
    await rig.callAt(ada, "2032-05-03T00:10:00Z");
    const late = await rig.callAt(ada, "2032-05-31T15:59:59.999Z", { settle: false });
    // The next period begins while that call waits: what its hold needs stays usable.
    at("2032-05-31T16:00:00Z");
    await runAll(rig);
    expect(await statements(ada.userId)).to.deep.equal([]);
    await rig.settle();
    expect((await rig.row(late))!["settled_at"]).to.not.equal(null);
    at("2032-05-31T16:06:00Z");
    await runAll(rig);
    await rig.callAt(ada, "2032-05-31T16:07:00Z");
    // 1000 granted, two calls of 93, the rest expired.
    expect(await statements(ada.userId)).to.deep.equal([["2032-04-30T16:00", 0, 1_000, 186, 814, 0, 0]]);
    at("2032-06-30T16:30:00Z");
    await runAll(rig);
    expect((await statements(ada.userId))[1]).to.deep.equal(["2032-05-31T16:00", 0, 1_000, 93, 907, 0, 0]);
    const { rows } = await rig.pool.query<Stated>("SELECT * FROM statements WHERE user_id = $1 ORDER BY starts_at", [ada.userId]);
    expect(rows.map((row) => row.consumption_by_model.map(({ model, requests, cost }) => [model, requests, cost]))).to.deep.equal([
      [["test-model", "2", "186000000"]],
      [["test-model", "1", "93000000"]],
    ]);
  });

  it("statements, and periods that grant nothing, wait for no wallet: and so no call waits for them", async () => {
    const ada = await rig.subscriber("2033-07-31T16:00:00Z", "free");
    at("2033-08-02T00:00:00Z");
    const busy = await rig.pool.connect();
    try {
      await busy.query("BEGIN");
      await busy.query("SELECT FROM ledger_accounts WHERE id = $1 FOR UPDATE", [ada.walletId]);
      await runAll(rig);
      expect(await opened(ada.userId)).to.equal(1);
      at("2033-09-02T00:00:00Z");
      await runAll(rig);
      expect(await statements(ada.userId)).to.deep.equal([["2033-07-31T16:00", 0, 0, 0, 0, 0, 0]]);
    } finally {
      await busy.query("ROLLBACK");
      busy.release();
    }
  });

  it("a statement names purchases, gifts and what operators took; one is closed where the next one opens", async () => {
    const ada = await rig.subscriber("2026-06-30T16:00:00Z", "free");
    at("2026-07-01T00:00:00Z");
    await runAll(rig);
    const base = { walletId: ada.walletId, description: "test" };
    const post = { ...base, from: "clearing:test", amount: credits(50) };
    await rig.ledger.credit(rig.pool, { ...post, id: `p:${ada.userId}`, source: "purchase", type: "PURCHASE" });
    await rig.ledger.credit(rig.pool, { ...post, id: `b:${ada.userId}`, source: "bonus", type: "BONUS" });
    await rig.ledger.debit(rig.pool, { ...base, id: `d:${ada.userId}`, amount: credits(7), to: "adjustments", type: "ADMIN" });
    // Posted now, which is long after the period: it belongs to the present one.
    at("2026-07-31T16:00:00Z");
    await runAll(rig);
    at(new Date(Date.now() + 40 * 86_400_000).toISOString());
    await runAll(rig);
    const stated = await statements(ada.userId);
    const [credit, other] = [2, 5].map((n) => stated.reduce((sum, line) => sum + Number(line[n]), 0));
    expect([credit, other]).to.deep.equal([100, -7]);
    stated.slice(1).forEach((line, n) => expect(line[1]).to.equal(stated[n]!.at(-1)));
    expect(stated.at(-1)!.at(-1)).to.equal(93);
    const { rows } = await rig.pool.query<{ credits_by_source: object }>(
      "SELECT credits_by_source FROM statements WHERE user_id = $1 AND credits > 0",
      [ada.userId],
    );
    expect(rows.map((row) => row.credits_by_source)).to.deep.equal([
      [
        { type: "BONUS", source: "bonus", amount: "50000000" },
        { type: "PURCHASE", source: "purchase", amount: "50000000" },
      ],
    ]);
  });

  it("a plan whose change takes effect at once gives the difference for the rest of the period; one for the next period waits", async () => {
    await rig.plan("grows", 100);
    const ada = await rig.subscriber("2033-03-31T16:00:00Z", "grows");
    at("2033-04-02T00:00:00Z");
    await runAll(rig);
    // The 16th of April begins: half of the period is over.
    at("2033-04-15T16:00:00Z");
    await rig.plan("grows", 300, { version: 2, takesEffect: "now" });
    await Promise.all([runAll(rig), runAll(rig.another())]);
    await runAll(rig);
    expect(await balance(ada.walletId)).to.equal(credits(200));
    await rig.plan("grows", 10, { version: 3, takesEffect: "next_period" });
    await runAll(rig);
    expect(await balance(ada.walletId)).to.equal(credits(200));
    at("2033-04-30T16:00:00Z");
    await runAll(rig);
    expect(await balance(ada.walletId)).to.equal(credits(10));
  });
});
