import { expect } from "chai";
import { ALL, REST, useUnread, type Waiting } from "./unread.ts";

/** In hundredths. */
const TOKENS = 230_000n;

describe("what a run of Dify's has used, and was charged when no call read it", () => {
  const rig = useUnread();
  const limited = { keyLimits: { spend_total: "300", quota_tokens: 1_000_000, quota_requests: 1_000 } };

  /** What the counters of a key say: credits, requests and tokens, and whether anything is held on them. */
  async function counters({ ada }: Waiting) {
    const { rows } = await rig.relay.pool.query<{ period: string; spent: bigint; held: bigint }>(
      "SELECT period, spent, held FROM ledger_budgets WHERE id = $1",
      [`key:${ada.keyId}`],
    );
    const of = (begin: string) => rows.find(({ period }) => period.startsWith(begin))?.spent;
    return { credits: of("total"), requests: of("qr:"), tokens: of("qt:"), held: rows.reduce((sum, { held }) => sum + held, 0n) };
  }
  const SPENT = { credits: ALL, requests: 100n, tokens: TOKENS, held: 0n };

  it("counts on the limits and quotas of the call that began it when its form was answered at Dify itself, and is of its day", async () => {
    const waiting = await rig.begin(undefined, limited);
    await rig.answerAtDify(waiting);
    await rig.chase();
    await rig.chase();
    expect([(await rig.bill(waiting.ada)).charged, await counters(waiting)]).to.deep.equal([ALL, SPENT]);
    const { rows } = await rig.relay.pool.query("SELECT DISTINCT created_at FROM usage_events WHERE wallet_id = $1", [
      waiting.ada.walletId,
    ]);
    expect(rows).to.have.length(1);
  });

  it("counts though its hold was let go and forgotten", async () => {
    const waiting = await rig.begin(undefined, limited);
    await rig.answerAtDify(waiting);
    await rig.relay.ledger.forgetHolds(new Date(Date.now() + 60_000));
    await rig.chase();
    expect([(await rig.bill(waiting.ada)).charged, await counters(waiting)]).to.deep.equal([ALL, SPENT]);
  });

  it("leaves nothing of a limit that it goes beyond, also as far as it is owed", async () => {
    const waiting = await rig.begin(undefined, limited);
    await rig.dify.tell("[[usage:15000,8000]]");
    await rig.answerAtDify(waiting);
    await rig.chase();
    expect(await counters(waiting)).to.deep.equal({ credits: 1_035_000_000n, requests: 100n, tokens: 2_300_000n, held: 0n });
    const gift = { from: "grants:welcome", source: "bonus", type: "BONUS", description: "more" } as const;
    await rig.relay.ledger.credit(rig.relay.pool, {
      ...gift,
      id: `gift-${waiting.run}`,
      walletId: waiting.ada.walletId,
      amount: 10n ** 10n,
    });
    const again = await rig.send(waiting.ada, "/workflows/run", { inputs: { query: "And now?" } });
    expect(again.status).to.equal(429);
    expect(await again.text()).to.match(/spend/);
    await rig.dify.tell(REST);
  });

  it("is charged once, and counted once, when the worker is lost before its commit and several ask at once", async () => {
    const waiting = await rig.begin(undefined, limited);
    await rig.answerAtDify(waiting);
    await rig.chase("lost");
    await Promise.all([rig.chase(), rig.chase(), rig.chase()]);
    await rig.chase();
    expect([(await rig.bill(waiting.ada)).charged, await counters(waiting)]).to.deep.equal([ALL, SPENT]);
  });
});
