import type { Socket } from "node:net";
import { expect } from "chai";
import { rawCall } from "../../../support/rawCall.ts";
import { waitFor } from "../../../support/waitFor.ts";
import type { Customer } from "../harness.ts";
import { answerOf, startRawUpstream, type RawUpstream } from "../rawUpstream.ts";
import { ALL, FIRST, formOf, REST, useUnread, type Waiting } from "./unread.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

describe("a form's run that the call does not read to its end", () => {
  const rig = useUnread();

  it("is asked for again when its provider's total time is over", async () => {
    const { model } = await rig.app("workflow", { timeouts: { total_ms: 400 } });
    const waiting = await rig.begin(model);
    await rig.dify.tell("[[usage:1500,800]] [[chunks:40]] [[pace:25ms]]");
    expect((await rig.answer(waiting)).status).to.equal(200);
    const asked = async () => (await rig.dify.calls()).filter(({ path }) => path.includes(`/workflow/${waiting.run}/events`)).length;
    await waitFor(async () => (await asked()) === 1, { timeoutMs: 5_000, message: "the events" });
    await rig.dify.tell(REST);
    await waitFor(async () => (await asked()) === 2, { timeoutMs: 5_000, message: "the second try" });
    await waitFor(async () => (await rig.bill(waiting.ada)).charged === ALL, { timeoutMs: 5_000, message: "the charge" });
    expect(await rig.kept(waiting)).to.equal(undefined);
  });

  it("is charged once when the call that was taken for lost reads on after all", async () => {
    const waiting = await rig.begin();
    await rig.dify.tell("[[usage:1500,800]] [[chunks:60]] [[pace:25ms]]");
    expect((await rig.answer(waiting)).status).to.equal(200);
    await waitFor(async () => (await rig.dify.calls()).some(({ path }) => path.includes("/events")), {
      timeoutMs: 5_000,
      message: "its events",
    });
    const callId = (await rig.kept(waiting))!.call_id;
    await rig.relay.pool.query("UPDATE ledger_holds SET expires_at = now() - interval '1 minute' WHERE id = $1", [callId]);
    expect(await rig.sweep()).to.equal(0);
    await rig.chase();
    expect([(await rig.bill(waiting.ada)).charged, await rig.held(waiting.ada)]).to.deep.equal([ALL, 0n]);
    expect(rig.relay.gateway.live).to.equal(1);
    await waitFor(() => rig.relay.gateway.live === 0, { timeoutMs: 5_000, message: "the call to end" });
    expect((await rig.bill(waiting.ada)).charged).to.equal(ALL);
    const beside = () => rig.relay.pool.query("SELECT FROM usage_events WHERE id = $1 AND error_code = 'charged_before'", [callId]);
    await waitFor(async () => (await beside()).rows.length === 1, { timeoutMs: 5_000, message: "its record" });
    expect([await rig.kept(waiting), await rig.held(waiting.ada)]).to.deep.equal([undefined, 0n]);
  });

  describe("because its answer is lost", () => {
    let raw: RawUpstream;
    let runs = 0;
    before(async () => (raw = await startRawUpstream()));
    after(() => raw?.close());

    /** A run that waits at a Dify which meets its form with `post`. */
    async function waits(post: (socket: Socket) => void, detail: object): Promise<Waiting> {
      const run = `run-lost-${++runs}`;
      const ids = { task_id: `task-lost-${runs}`, workflow_run_id: run };
      const event = (name: string, data: object) => `data: ${JSON.stringify({ event: name, ...ids, data })}\n\n`;
      raw.behave((socket, request) => {
        if (/^POST \S*\/form\//.test(request.head)) return post(socket);
        if (/^GET \S*\/workflows\/run\//.test(request.head)) return answerOf(200, JSON.stringify({ id: run, ...detail }))(socket, request);
        // Nobody has anything of what goes on.
        if (/^GET \S*\/events/.test(request.head)) return;
        socket.write(HEAD + event("workflow_started", { id: run }));
        socket.end(
          event("human_input_required", { form_token: `form-lost-${runs}` }) +
            event("workflow_paused", { status: "paused", total_tokens: 500 }),
        );
      });
      const model = await rig.relay.model([raw.url], { apiFormat: "dify" });
      const ada = await rig.customer(model);
      const events = await rig.stream(ada, "/workflows/run", {});
      await rig.bill(ada);
      return { ada, key: "", model, run, form: formOf(events) };
    }
    const posts = () => raw.requests.filter(({ head }) => /^POST \S*\/form\//.test(head)).length;

    for (const [what, post] of [
      ["the connection breaks", (socket) => void socket.destroy()],
      ["something in front of Dify answers", (socket) => void answerOf(502, "<html>")(socket, { head: "", body: {} })],
    ] as [string, (socket: Socket) => void][]) {
      it(`${what}: it is not sent twice, and charged when it turns out to have gone on`, async () => {
        const waiting = await waits(post, { status: "succeeded", total_tokens: 2_300 });
        const answer = await rig.answer(waiting);
        expect(answer.status).to.equal(502);
        expect(((await answer.json()) as { message: string }).message).to.contain("whether the provider took what was sent is not known");
        expect(posts()).to.equal(1);
        expect(await rig.held(waiting.ada)).to.not.equal(0n);
        await rig.chase();
        expect((await rig.bill(waiting.ada)).charged).to.equal(ALL);
        expect(await rig.kept(waiting)).to.equal(undefined);
      });
    }

    it("nor does who has opened its events and left before anything came", async () => {
      const waiting = await waits((socket) => void socket.destroy(), { status: "succeeded", total_tokens: 2_300 });
      const leaving = new AbortController();
      const watched = rig
        .send(waiting.ada, `/workflow/${waiting.run}/events`, undefined, { signal: leaving.signal })
        .catch(() => undefined);
      await waitFor(() => raw.requests.some(({ head }) => head.includes(`/workflow/${waiting.run}/events`)), {
        timeoutMs: 5_000,
        message: "its events to be asked for",
      });
      leaving.abort();
      await watched;
      await waitFor(async () => (await rig.kept(waiting))?.state === "left", { timeoutMs: 5_000, message: "the call to end" });
      expect(await rig.held(waiting.ada)).to.not.equal(0n);
      await rig.chase();
      expect((await rig.bill(waiting.ada)).charged).to.equal(ALL);
      expect([await rig.kept(waiting), await rig.held(waiting.ada)]).to.deep.equal([undefined, 0n]);
    });

    it("and the run still waits: nothing is held or charged, and it can be answered again", async () => {
      let take = (socket: Socket): void => void socket.destroy();
      const waiting = await waits((socket) => take(socket), { status: "paused", total_tokens: 500 });
      await rig.answer(waiting);
      await rig.chase();
      expect((await rig.bill(waiting.ada)).charged).to.equal(FIRST);
      expect((await rig.kept(waiting))!.state).to.equal("paused");
      take = (socket) => void answerOf(404, '{"code":"not_found","message":"Form not found","status":404}')(socket, { head: "", body: {} });
      expect((await rig.answer(waiting)).status).to.equal(404);
      expect([await rig.held(waiting.ada), (await rig.kept(waiting))!.state]).to.deep.equal([0n, "left"]);
      await rig.chase();
      expect([(await rig.bill(waiting.ada)).charged, (await rig.kept(waiting))!.state]).to.deep.equal([FIRST, "paused"]);
    });
  });
});

describe("a form's run that the server's stop cuts off", () => {
  const rig = useUnread();

  it("keeps its hold, and is charged once it has ended", async () => {
    const waiting = await rig.begin();
    await rig.dify.tell("[[usage:1500,800]] [[chunks:100]] [[pace:30ms]]");
    expect((await rig.answer(waiting)).status).to.equal(200);
    await waitFor(async () => (await rig.kept(waiting))?.state === "followed", { timeoutMs: 5_000, message: "the call" });
    await waitFor(async () => (await rig.dify.calls()).some(({ path }) => path.includes("/events")), {
      timeoutMs: 5_000,
      message: "its events",
    });
    await rig.relay.gateway.drain(50);
    expect(rig.relay.gateway.live).to.equal(0);
    const held = await rig.held(waiting.ada);
    expect(held).to.not.equal(0n);
    expect((await rig.kept(waiting))!.state).to.equal("left");
    await rig.relay.pool.query("UPDATE ledger_holds SET expires_at = now() - interval '1 minute' WHERE state = 'held'");
    expect([await rig.sweep(), await rig.held(waiting.ada)]).to.deep.equal([0, held]);
    await rig.dify.tell(REST);
    await rig.chase();
    expect((await rig.bill(waiting.ada)).charged).to.equal(ALL);
  });
});

describe("a workflow's run whose client left, and that did not say what it used", () => {
  const rig = useUnread({ UPSTREAM_STOP_TIMEOUT: "300ms" });
  let raw: RawUpstream;
  let runs = 0;
  before(async () => (raw = await startRawUpstream()));
  after(() => raw?.close());

  /** Leaves a run of which Dify says `detail` from then on. */
  async function leave(detail: { status: string; total_tokens: number }) {
    const run = `run-left-${++runs}`;
    const ids = { task_id: `task-left-${runs}`, workflow_run_id: run };
    const event = (name: string, data: object) => `data: ${JSON.stringify({ event: name, ...ids, data })}\n\n`;
    raw.behave((socket, request) => {
      if (request.head.startsWith("GET ")) return answerOf(200, JSON.stringify({ id: run, ...detail }))(socket, request);
      if (request.head.includes("/stop")) return answerOf(200, '{"result":"success"}')(socket, request);
      socket.write(HEAD + event("workflow_started", { id: run }) + event("text_chunk", { text: "To the left." }));
    });
    const ada = await rig.customer(await rig.relay.model([raw.url], { apiFormat: "dify" }));
    await rawCall(`${rig.relay.url}/dify/v1/workflows/run`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, response_mode: "streaming" }),
      leave: (text) => text.includes("left"),
    });
    await waitFor(async () => (await rig.kept({ run }))?.state === "left", { timeoutMs: 5_000, message: "the record" });
    const bill = await rig.bill(ada);
    expect(bill).to.include({ status: "client_gone", estimated: true });
    return { ada, run, counted: bill };
  }
  const tokensOf = async (ada: Customer): Promise<number> =>
    (
      await rig.relay.pool.query<{ sum: number }>(
        "SELECT sum(input_tokens + output_tokens)::float8 AS sum FROM usage_events WHERE user_id = $1",
        [ada.userId],
      )
    ).rows[0]!.sum;

  it("pays for the rest as well when it has gone on, once", async () => {
    const detail = { status: "running", total_tokens: 0 };
    const { ada, run, counted } = await leave(detail);
    await rig.chase();
    expect([(await rig.bill(ada)).charged, (await rig.kept({ run }))!.state]).to.deep.equal([counted.charged, "left"]);
    Object.assign(detail, { status: "succeeded", total_tokens: 4_600 });
    await Promise.all([rig.chase(), rig.chase()]);
    await rig.chase();
    expect([await tokensOf(ada), await rig.kept({ run }), await rig.held(ada)]).to.deep.equal([4_600, undefined, 0n]);
  });

  for (const [how, detail] of [
    ["has stopped, whatever Dify counts of it", { status: "stopped", total_tokens: 0 }],
    ["has failed", { status: "failed", total_tokens: 4_600 }],
  ] as const) {
    it(`pays no more when it ${how}`, async () => {
      const { ada, run, counted } = await leave(detail);
      await rig.chase();
      expect([(await rig.bill(ada)).charged, await rig.kept({ run })]).to.deep.equal([counted.charged, undefined]);
    });
  }
});
