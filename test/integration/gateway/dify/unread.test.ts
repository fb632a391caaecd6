import { expect } from "chai";
import { uuidv7 } from "../../../../src/platform/ids.ts";
import { waitFor } from "../../../support/waitFor.ts";
import { ALL, FIRST, REST, useUnread, type Waiting } from "./unread.ts";

describe("a run of Dify's that goes on and that no call reads to its end", () => {
  const rig = useUnread();
  const sum = async ({ ada }: Waiting): Promise<bigint> => (await rig.bill(ada)).charged;

  /** As if the process that followed the run had been killed: its hold is open, and nobody renews it. */
  async function lostFollower(waiting: Waiting): Promise<string> {
    const id = uuidv7();
    const { pool, ledger } = rig.relay;
    await ledger.authorize({ id, walletId: waiting.ada.walletId, amount: 200_000_000n, owner: "gone", ttlMs: 60_000 });
    await pool.query("UPDATE dify_runs SET state = 'followed', call_id = $2 WHERE run = $1", [waiting.run, id]);
    return id;
  }
  const expire = (id: string) =>
    rig.relay.pool.query("UPDATE ledger_holds SET expires_at = now() - interval '1 minute' WHERE id = $1", [id]);

  it("is charged when its form was answered at Dify itself", async () => {
    const waiting = await rig.begin();
    await rig.chase();
    expect([await sum(waiting), (await rig.kept(waiting))!.state]).to.deep.equal([FIRST, "paused"]);
    await rig.answerAtDify(waiting);
    await rig.chase();
    expect(await rig.bill(waiting.ada)).to.deep.include({ charged: ALL, status: "ok", tokens: [900, 900], estimated: false });
    expect(await rig.kept(waiting)).to.equal(undefined);
  });

  it("is owed as far as the wallet does not cover it", async () => {
    const waiting = await rig.begin();
    await rig.dify.tell("[[usage:30000,30000]]");
    await rig.answerAtDify(waiting);
    await rig.chase();
    const { total, shortfall } = await rig.relay.ledger.balance(waiting.ada.walletId);
    expect([total, shortfall]).to.deep.equal([0n, 1_700_000_000n]);
  });

  it("is charged once, however many workers ask at once", async () => {
    const waiting = await rig.begin();
    await rig.answerAtDify(waiting);
    await Promise.all([rig.chase(), rig.chase(), rig.chase()]);
    await rig.chase();
    expect(await sum(waiting)).to.equal(ALL);
  });

  it("is charged by the next worker when the one that asked for it is lost, by the same hold", async () => {
    const waiting = await rig.begin();
    const hold = await lostFollower(waiting);
    await rig.answerAtDify(waiting);
    await expire(hold);
    await rig.chase("lost");
    expect([await rig.held(waiting.ada), (await rig.kept(waiting))!.call_id]).to.deep.equal([200_000_000n, hold]);
    await rig.chase();
    expect([await sum(waiting), await rig.held(waiting.ada), await rig.kept(waiting)]).to.deep.equal([ALL, 0n, undefined]);
  });

  it("is asked for soon when somebody looks at how it went", async () => {
    const waiting = await rig.begin();
    const due = async () =>
      (await rig.relay.pool.query<{ due: boolean }>("SELECT next_at <= now() AS due FROM dify_runs WHERE run = $1", [waiting.run])).rows[0]!
        .due;
    expect(await due()).to.equal(false);
    const shown = await rig.send(waiting.ada, `/workflows/run/${waiting.run}`);
    expect([shown.status, await due()]).to.deep.equal([200, true]);
  });

  it("can be answered here when what it had used is on record, and its process was lost before it noted that", async () => {
    const waiting = await rig.begin();
    await rig.relay.pool.query("UPDATE dify_ids SET input_tokens = NULL, output_tokens = NULL WHERE id = $1", [waiting.run]);
    await rig.chase();
    expect((await rig.answer(waiting)).status).to.equal(200);
    await waitFor(async () => (await sum(waiting)) === ALL, { timeoutMs: 5_000, message: "the rest" });
  });

  it("is paid for at its pause when its process was lost before it recorded that, by whoever reads on later", async () => {
    const waiting = await rig.begin();
    const { pool } = rig.relay;
    await pool.query("DELETE FROM usage_messages WHERE event_id IN (SELECT id FROM usage_events WHERE user_id = $1)", [waiting.ada.userId]);
    await pool.query("UPDATE dify_ids SET input_tokens = NULL, output_tokens = NULL WHERE id = $1", [waiting.run]);
    await rig.chase();
    expect(await sum(waiting)).to.equal(2n * FIRST);
    expect((await rig.answer(waiting)).status).to.equal(200);
    await waitFor(async () => (await sum(waiting)) === FIRST + ALL, { timeoutMs: 5_000, message: "the rest" });
  });

  it("is charged by the part when it waits for a person again, and the rest by the call that answers him", async () => {
    const waiting = await rig.begin();
    await rig.answerAtDify(waiting);
    await rig.dify.tell("[[usage:500,300]] [[outcome:paused]]");
    await rig.chase();
    expect(await sum(waiting)).to.equal(36_000_000n);
    expect((await rig.kept(waiting))!.state).to.equal("paused");
    await rig.dify.tell(`${REST} [[outcome:succeeded]]`);
    expect((await rig.answer(waiting)).status).to.equal(200);
    await waitFor(async () => (await sum(waiting)) === ALL, { timeoutMs: 5_000, message: "the rest" });
    expect(await rig.kept(waiting)).to.equal(undefined);
  });

  it("that failed is free, whoever reports it later", async () => {
    const waiting = await rig.begin();
    await rig.answerAtDify(waiting);
    await rig.dify.tell("[[outcome:failed]]");
    await rig.chase();
    expect([await sum(waiting), await rig.kept(waiting)]).to.deep.equal([FIRST, undefined]);
    const { rows } = await rig.relay.pool.query("SELECT FROM usage_messages WHERE free");
    expect(rows).to.have.length(1);
  });

  it("is waited for while it runs, stopped when it takes too long, and then charged", async () => {
    const waiting = await rig.begin();
    await rig.answerAtDify(waiting);
    await rig.dify.tell("[[outcome:running]]");
    await rig.chase();
    expect([await sum(waiting), (await rig.kept(waiting))!.state]).to.deep.equal([FIRST, "left"]);
    const stops = async () => (await rig.dify.calls()).filter(({ path }) => path.endsWith("/stop"));
    expect(await stops()).to.deep.equal([]);
    await rig.relay.pool.query("UPDATE dify_runs SET since = now() - interval '7 hours' WHERE run = $1", [waiting.run]);
    await rig.chase();
    expect((await stops()).map(({ path }) => path.replace(/tasks\/[^/]+/, "tasks/:id"))).to.deep.equal(["/v1/workflows/tasks/:id/stop"]);
    await rig.dify.tell(`${REST} [[outcome:stopped]]`);
    await rig.chase();
    expect([await sum(waiting), await rig.kept(waiting)]).to.deep.equal([ALL, undefined]);
  });

  it("is left alone while the call that follows it lives, and charged by its hold when that is gone", async () => {
    const waiting = await rig.begin();
    const hold = await lostFollower(waiting);
    await rig.answerAtDify(waiting);
    await rig.chase();
    expect(await rig.held(waiting.ada)).to.equal(200_000_000n);
    await expire(hold);
    await rig.chase();
    expect([await sum(waiting), await rig.kept(waiting)]).to.deep.equal([ALL, undefined]);
    expect(await rig.sweep()).to.equal(0);
  });

  it("keeps the hold of a lost call from the sweep until it is charged", async () => {
    const waiting = await rig.begin();
    const hold = await lostFollower(waiting);
    await rig.answerAtDify(waiting);
    await rig.dify.tell("[[outcome:running]]");
    await expire(hold);
    expect(await rig.sweep()).to.equal(0);
    await rig.chase();
    expect(await rig.sweep()).to.equal(0);
    expect(await rig.held(waiting.ada)).to.equal(200_000_000n);
    await rig.dify.tell(`${REST} [[outcome:succeeded]]`);
    await rig.chase();
    expect([await sum(waiting), await rig.kept(waiting)]).to.deep.equal([ALL, undefined]);
  });

  it("holds nobody's credit for more than an hour, and is owed after that", async () => {
    const waiting = await rig.begin();
    const hold = await lostFollower(waiting);
    await rig.answerAtDify(waiting);
    await rig.dify.tell("[[outcome:running]]");
    await expire(hold);
    await rig.chase();
    await rig.relay.pool.query("UPDATE dify_runs SET since = now() - interval '2 hours' WHERE run = $1", [waiting.run]);
    await rig.chase();
    expect([await rig.held(waiting.ada), (await rig.kept(waiting))!.call_id]).to.deep.equal([0n, null]);
    await rig.dify.tell(`${REST} [[outcome:succeeded]]`);
    await rig.chase();
    expect(await sum(waiting)).to.equal(ALL);
  });

  it("frees the hold of a lost call that had let nothing go on", async () => {
    const waiting = await rig.begin();
    await expire(await lostFollower(waiting));
    await rig.chase();
    expect([await sum(waiting), (await rig.kept(waiting))!.state]).to.deep.equal([FIRST, "paused"]);
  });

  it("is an operator's when Dify cannot be asked for it, and holds nothing any more", async () => {
    const waiting = await rig.begin();
    await expire(await lostFollower(waiting));
    await rig.dify.tell("[[fault:status code=500]]");
    await rig.chase();
    expect(await rig.kept(waiting)).to.deep.include({ state: "left", tries: 1 });
    await rig.relay.pool.query("UPDATE dify_runs SET tries = 39 WHERE run = $1", [waiting.run]);
    await rig.chase();
    expect([await rig.kept(waiting), await rig.held(waiting.ada)]).to.deep.equal([undefined, 0n]);
    const noted = () =>
      rig.relay.pool.query("SELECT details FROM incidents WHERE kind = 'run_unpaid' AND user_id = $1", [waiting.ada.userId]);
    await waitFor(async () => (await noted()).rows.length === 1, { timeoutMs: 5_000, message: "the incident" });
    expect((await noted()).rows[0]).to.deep.include({
      details: { ...(await noted()).rows[0].details, run: waiting.run, why: "status 500" },
    });
  });

  it("is paid by the hold of whoever reads its events to the end, and by nothing else", async () => {
    const waiting = await rig.begin();
    await expire(await lostFollower(waiting));
    await rig.answerAtDify(waiting);
    expect(await (await rig.send(waiting.ada, `/workflow/${waiting.run}/events`)).text()).to.match(/workflow_finished/);
    expect([await sum(waiting), await rig.kept(waiting)]).to.deep.equal([ALL, undefined]);
    await rig.chase();
    expect(await sum(waiting)).to.equal(ALL);
  });
});
