import { expect } from "chai";
import { uuidv7 } from "../../../../src/platform/ids.ts";
import { messageEnd } from "../../../support/dify.ts";
import { startDify, type DifyRig } from "../../dify/rig.ts";
import { ALL, formOf, REST, useUnread, type Waiting } from "./unread.ts";

const EXACT = 93_000_000n;
const HELD = 200_000_000n;

describe("a chatflow's message that goes on unread, where Dify's webhook reports it", () => {
  const rig = useUnread();
  let hook: DifyRig;
  before(async () => (hook = await startDify(rig.relay.pool.options.connectionString!)));
  after(() => hook?.close());

  const limited = { keyLimits: { spend_total: "900", quota_tokens: 1_000_000, quota_requests: 1_000 } };

  /** Begins one that waits for a person. */
  async function begin(): Promise<Waiting & { message: string }> {
    const { model, key } = await rig.app("chatflow");
    const ada = await rig.customer(model, limited);
    await rig.dify.tell("[[usage:300,200]] [[chunks:2]]");
    const events = await rig.stream(ada, "/chat-messages", { query: "[[outcome:paused]] Which way?" });
    await rig.bill(ada);
    await rig.dify.tell(REST);
    const message = String(events.find(({ message_id: id }) => id)!["message_id"]);
    return { ada, key, model, run: String(events.at(-1)!["workflow_run_id"]), form: formOf(events), message };
  }
  const report = async ({ ada, message }: Waiting & { message: string }) => {
    const { status, body } = await hook.send(messageEnd({ user_id: `tk_${ada.userId}`, message_id: message }));
    return [status, body.data?.pointsDeducted];
  };
  async function counted({ ada }: Waiting) {
    const { rows } = await rig.relay.pool.query<{ spent: bigint; held: bigint }>(
      "SELECT spent, held FROM ledger_budgets WHERE id = $1 ORDER BY left(period, 2)",
      [`key:${ada.keyId}`],
    );
    return rows.map(({ spent, held }) => [spent, held]);
  }
  const EXACTLY = [
    [100n, 0n],
    [230_000n, 0n],
    [EXACT, 0n],
  ];
  /** As if the process of the form's call had been killed. */
  async function lostFollower({ ada, run }: Waiting): Promise<string> {
    const id = uuidv7();
    const { pool, ledger } = rig.relay;
    await ledger.authorize({ id, walletId: ada.walletId, amount: HELD, owner: "gone", ttlMs: 60_000 });
    await pool.query("UPDATE dify_runs SET state = 'left', call_id = $2 WHERE run = $1", [run, id]);
    return id;
  }

  it("costs its exact counts: the webhook has some minutes before the run's sum is taken", async () => {
    const waiting = await begin();
    await rig.answerAtDify(waiting);
    await rig.chase("webhook");
    expect(await rig.kept(waiting)).to.include({ state: "paused" });
    expect(await report(waiting)).to.deep.equal([200, 93]);
    await rig.chase();
    await rig.chase();
    expect([(await rig.bill(waiting.ada)).charged, await rig.kept(waiting), await counted(waiting)]).to.deep.equal([
      EXACT,
      undefined,
      EXACTLY,
    ]);
  });

  it("costs the run's sum when the webhook does not come", async () => {
    const waiting = await begin();
    await rig.answerAtDify(waiting);
    await rig.chase("webhook");
    await rig.chase();
    expect([(await rig.bill(waiting.ada)).charged, await rig.kept(waiting)]).to.deep.equal([ALL, undefined]);
    expect(await report(waiting)).to.deep.equal([200, 103.5]);
    expect((await rig.bill(waiting.ada)).charged).to.equal(ALL);
  });

  it("is paid by the hold that is kept for its run, and waits for nobody", async () => {
    const waiting = await begin();
    const hold = await lostFollower(waiting);
    await rig.answerAtDify(waiting);
    expect(await report(waiting)).to.deep.equal([200, 93]);
    const { rows } = await rig.relay.pool.query("SELECT state FROM ledger_holds WHERE id = $1", [hold]);
    expect([rows, await rig.held(waiting.ada)]).to.deep.equal([[{ state: "settled" }], 0n]);
    await Promise.all([rig.chase(), rig.chase()]);
    expect([(await rig.bill(waiting.ada)).charged, await rig.kept(waiting)]).to.deep.equal([EXACT, undefined]);
  });

  it("is charged once when worker and webhook come at once", async () => {
    for (let round = 0; round < 6; round++) {
      const waiting = await begin();
      if (round % 2) await lostFollower(waiting);
      await rig.answerAtDify(waiting);
      await Promise.all([rig.chase(), report(waiting), rig.chase(), report(waiting)]);
      await rig.chase();
      const { charged } = await rig.bill(waiting.ada);
      expect([EXACT, ALL]).to.include(charged);
      expect([await rig.kept(waiting), await rig.held(waiting.ada)]).to.deep.equal([undefined, 0n]);
    }
  });

  it("keeps no other message of its account waiting", async () => {
    const waiting = await begin();
    await lostFollower(waiting);
    expect(await report({ ...waiting, message: `m-${uuidv7()}` })).to.not.include(409);
    expect(await rig.held(waiting.ada)).to.equal(HELD);
  });
});
