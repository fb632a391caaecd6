import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { refunding } from "./refunding.ts";
import { prove, rewardsRig, type CheckInOverview, type Rig, type Somebody } from "./rig.ts";

describe("the accounts that all rewards share", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
  });
  afterEach(() => prove(rig));
  after(() => rig.close());
  const { deliver, follow, campaign, pause, totals, spend } = refunding(() => rig);

  /** The statement of whoever waits for a lock. */
  const waiting = async () =>
    (
      await rig.pool.query<{ query: string }>(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      )
    ).rows.map(({ query }) => query);

  /** Runs `work` while `account` is locked, and answers the statement that waits for it once it does. */
  async function behind<T>(account: string, work: () => Promise<T>): Promise<[T, string]> {
    const gate = await rig.pool.connect();
    await gate.query("BEGIN");
    await gate.query("SELECT FROM ledger_accounts WHERE code = $1 FOR UPDATE", [account]);
    const working = work();
    await waitFor(async () => (await waiting()).length === 1);
    const [statement] = await waiting();
    await gate.query("COMMIT");
    gate.release();
    return [await working, statement!];
  }

  /** A person of whose next rewards 7 credits are held back, and who owes 2. */
  async function indebted(): Promise<Somebody> {
    const ada = await rig.somebody();
    const offer = await campaign({ trigger: "topup" });
    const order = await follow(ada);
    await pause(offer);
    await spend(ada, 7n);
    await rig.refund(order);
    await deliver();
    await spend(ada, 100n);
    await inTransaction(rig.pool, (tx) =>
      rig.ledger.settle(tx, [
        {
          id: uuidv7(),
          holdId: null,
          walletId: ada.walletId,
          cost: 2n * MICRO,
          to: "revenue:usage",
          type: "CONSUMPTION",
          description: "a message",
          reference: "m",
        },
      ]),
    );
    return ada;
  }
  const claimed = (who: Somebody, { code }: { code: string }) =>
    who.call<{ balance: string }>("POST", `/api/user/campaigns/${code}/claim`, {});

  it("are locked by the last statement of a claim, also by who owes and has earlier rewards to give back", async () => {
    const ada = await indebted();
    const gift = await campaign({ reward: "20" });
    const [answer, statement] = await behind("unpaid", () => claimed(ada, gift));
    expect(statement).to.match(/ledger_credit_less\(.*reward_paid\(/s);
    // 2 were owed, 7 are held back.
    expect(answer.data).to.include({ balance: "11" });
    expect(await totals(ada)).to.deep.equal(["11"]);
    const { rows } = await rig.pool.query("SELECT balance_after FROM campaign_claims WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1", [
      ada.id,
    ]);
    expect(rows).to.deep.equal([{ balance_after: 11n * MICRO }]);
    expect((await rig.pool.query("SELECT withheld FROM reward_reversals WHERE user_id = $1", [ada.id])).rows).to.deep.equal([
      { withheld: 7n * MICRO },
    ]);
  });

  it("pay no more than what is owed leaves: only that is held back", async () => {
    const ada = await indebted();
    const gift = await campaign({ reward: "4" });
    expect((await claimed(ada, gift)).data).to.include({ balance: "0" });
    expect((await rig.pool.query("SELECT withheld FROM reward_reversals WHERE user_id = $1", [ada.id])).rows).to.deep.equal([
      { withheld: 2n * MICRO },
    ]);
    const again = await campaign({ reward: "1" });
    expect((await claimed(ada, again)).data).to.include({ balance: "0" });
    expect((await rig.pool.query("SELECT withheld FROM reward_reversals WHERE user_id = $1", [ada.id])).rows).to.deep.equal([
      { withheld: 3n * MICRO },
    ]);
  });

  it("are locked by the last statement of a check-in, whose row has the balance", async () => {
    const ada = await rig.somebody();
    await (await rig.somebody()).call("POST", "/api/user/checkin", {});
    const [answer, statement] = await behind("grants:checkin", () => ada.call("POST", "/api/user/checkin", {}));
    expect(statement).to.match(/ledger_credit_less\(/);
    expect(answer.status).to.equal(201);
    const { rows } = await rig.pool.query("SELECT balance_after FROM checkins WHERE user_id = $1", [ada.id]);
    expect(rows).to.deep.equal([{ balance_after: MICRO }]);
  });

  it("are locked by the last statement for a top-up, which then is committed", async () => {
    const ada = await rig.somebody();
    const offer = await campaign({ trigger: "topup", reward: "5" });
    await follow(await rig.somebody());
    const [, statement] = await behind("grants:campaign", () => follow(ada));
    expect(statement).to.match(/ledger_credit_less\(/);
    expect(await totals(ada)).to.deep.equal(["105"]);
    await pause(offer);
  });

  it("are locked last when a day is made up; its row has the balance also when the wallet was used meanwhile", async () => {
    await rig.set({ "checkin.makeup_days": 3, "checkin.makeup_price": "0.5" });
    const ada = await rig.somebody();
    await rig.topUp(ada, 10);
    const [day] = (await ada.call<CheckInOverview>("GET", "/api/user/checkin")).data.makeup.days;
    const gate = await rig.pool.connect();
    await gate.query("BEGIN");
    await rig.ledger.credit(gate, {
      id: `test:${uuidv7()}`,
      walletId: ada.walletId,
      amount: 4n * MICRO,
      from: "adjustments",
      source: "admin",
      type: "ADMIN",
      description: "given",
    });
    const making = ada.call<{ balance: string }>("POST", "/api/user/checkin/makeup", { day });
    await waitFor(async () => (await waiting()).length === 1);
    expect((await waiting())[0]).to.contain("ledger_debit(");
    await gate.query("COMMIT");
    gate.release();
    expect((await making).data).to.include({ balance: "13.5" });
    const { rows } = await rig.pool.query("SELECT balance_after FROM checkins WHERE user_id = $1", [ada.id]);
    expect(rows).to.deep.equal([{ balance_after: 13_500_000n }]);
  });
});
