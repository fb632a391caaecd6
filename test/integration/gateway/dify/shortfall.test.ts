import { expect } from "chai";
import { useDify } from "./rig.ts";

const CREDIT = 1_000_000n;

/** Nobody can tell an app how much it may use. */
describe("a call of a Dify app that uses more than was held for it", () => {
  const rig = useDify();
  // 20000 tokens at 30 and 800 at 60, of which the hold knows few.
  const large = { query: "[[usage:20000,800]] Which way?" };
  const COST = 648n * CREDIT;

  const standing = async (walletId: bigint) => {
    const { total, held, shortfall } = await rig.relay.ledger.balance(walletId);
    return { total, held, shortfall };
  };
  const uncharged = async (walletId: bigint) => {
    const { rows } = await rig.relay.pool.query<{ uncharged: bigint }>("SELECT uncharged FROM usage_events WHERE wallet_id = $1", [
      walletId,
    ]);
    return rows.map((row) => row.uncharged);
  };

  it("costs all that it used when the wallet has it", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model, { credits: "1000" });
    await rig.stream(ada, "/chat-messages", large);
    expect(await rig.bill(ada)).to.include({ charged: COST, status: "ok" });
    expect(await standing(ada.walletId)).to.deep.equal({ total: 1_000n * CREDIT - COST, held: 0n, shortfall: 0n });
    expect(await uncharged(ada.walletId)).to.deep.equal([0n]);
  });

  it("owes what the wallet does not have; no call is made until that is paid", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model, { credits: "400", keyLimits: { spend_total: "100000" } });
    await rig.stream(ada, "/chat-messages", large);
    await rig.relay.settle();
    expect(await standing(ada.walletId)).to.deep.equal({ total: 0n, held: 0n, shortfall: 248n * CREDIT });
    expect(await uncharged(ada.walletId)).to.deep.equal([0n]);
    const { rows } = await rig.relay.pool.query("SELECT spent, held FROM ledger_budgets WHERE id = $1", [`key:${ada.keyId}`]);
    expect(rows).to.deep.equal([{ spent: COST, held: 0n }]);
    const refused = await rig.send(ada, "/chat-messages", { inputs: {}, query: "Which way?", response_mode: "streaming" });
    expect([refused.status, ((await refused.json()) as { code: string }).code]).to.deep.equal([402, "insufficient_balance"]);
  });
});
