import { expect } from "chai";
import { rawCall } from "../../../support/rawCall.ts";
import { waitFor } from "../../../support/waitFor.ts";
import type { Customer, ModelOptions } from "../harness.ts";
import { answerOf, startRawUpstream, type RawUpstream } from "../rawUpstream.ts";
import { useDify, type AppKind } from "./rig.ts";

const ROUTES: Partial<Record<AppKind, string>> = { chat: "/chat-messages", chatflow: "/chat-messages", workflow: "/workflows/run" };
const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/** 20000 tokens of prompt that only Dify sees. */
const CONFIG = { config: { dify: { unseen_tokens: 20_000 } }, maxOutput: 100 };
const PROMPT = 600_000_000n;

describe("a client that leaves before a Dify app says what it used", () => {
  const rig = useDify({ UPSTREAM_STOP_TIMEOUT: "500ms" });
  let raw: RawUpstream;
  let made = 0;

  before(async () => (raw = await startRawUpstream()));
  after(() => raw?.close());

  /** Calls, and leaves when so many pieces of the answer came. */
  const leave = (ada: Customer, path: string, body: object, pieces: number) =>
    rawCall(`${rig.relay.url}/dify/v1${path}`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, response_mode: "streaming", ...body }),
      leave: (text) => text.split(/"event":"(?:message|text_chunk)"/).length > pieces,
    });
  const stops = async () => (await rig.dify.calls()).filter(({ path }) => path.endsWith("/stop"));

  for (const kind of ["chat", "chatflow", "workflow"] as const) {
    it(`${kind}: pays what Dify says of the stopped answer, the app's own prompt with it`, async () => {
      const { model } = await rig.app(kind, kind === "workflow" ? {} : CONFIG);
      const ada = await rig.customer(model);
      await rig.dify.tell(`[[usage:${kind === "workflow" ? "1500,800" : "20000,50"}]] [[chunks:20]] [[pace:20ms]]`);
      await leave(ada, ROUTES[kind]!, { query: "Which way?" }, 15);
      const charged = kind === "workflow" ? 103_500_000n : PROMPT + 3_000_000n;
      expect(await rig.bill(ada)).to.include({ charged, status: "client_gone", estimated: false });
      expect(await stops()).to.have.length(1);
    });
  }

  it("a blocking one, too, for the answer is kept at Dify", async () => {
    const { model } = await rig.app("chat", CONFIG);
    const ada = await rig.customer(model);
    await rig.dify.tell("[[usage:20000,50]] [[chunks:20]] [[pace:20ms]]");
    const leaving = new AbortController();
    const call = rawCall(`${rig.relay.url}/dify/v1/chat-messages`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, query: "Which way?" }),
      signal: leaving.signal,
    });
    await waitFor(async () => (await rig.relay.pool.query("SELECT FROM dify_ids WHERE owner = $1", [`tk_${ada.userId}`])).rows.length > 0, {
      timeoutMs: 5_000,
      message: "the answer to begin",
    });
    leaving.abort();
    await call;
    expect(await rig.bill(ada)).to.include({ charged: PROMPT + 3_000_000n, status: "client_gone", estimated: false });
  });

  it("pays the prompt with what the app adds out of sight, when Dify does not say; its next turn is held for and paid in full", async () => {
    const dify = silent();
    const ada = await dify.customer();
    await leave(ada, "/chat-messages", { query: "Which way?" }, 1);
    const first = await paid(ada);
    expect(Number(first)).to.be.within(600_000_000, 602_000_000);
    expect(await rig.bill(ada)).to.include({ status: "client_gone", estimated: true });
    dify.says(20_100, 50);
    await dify.turn(ada);
    expect((await paid(ada)) - first).to.equal(606_000_000n);
  });

  it("never makes a conversation smaller by what was only counted", async () => {
    const dify = silent();
    // Of what a conversation carries no more is counted than its model reads.
    const ada = await dify.customer(undefined, { columns: { context_length: 4_000 } });
    dify.says(30_000, 50);
    await dify.turn(ada);
    expect(await dify.grown(ada)).to.equal(30_050);
    dify.says(undefined);
    await leave(ada, "/chat-messages", { query: "Which way?", conversation_id: dify.conversation }, 1);
    await waitFor(async () => (await rig.relay.lastEvent(ada))?.status === "client_gone", { timeoutMs: 5_000, message: "the record" });
    expect(Number((await rig.relay.lastEvent(ada))!.input_tokens)).to.be.within(4_000, 4_020);
    await waitFor(() => rig.relay.gateway.live === 0, { timeoutMs: 5_000, message: "the call to end" });
    expect(await dify.grown(ada)).to.equal(30_050);
    await rig.bill(ada);
  });

  for (const [how, before, least] of [
    ["by nobody's wish but his leaving", 0, PROMPT],
    ["when a node before it had finished", 1_000, PROMPT + 30_000_000n],
    ["at his own wish", 0, PROMPT],
  ] as const) {
    it(`pays for a chatflow's node that was speaking when it was stopped, which is in no count of Dify's: ${how}`, async () => {
      const ids = {
        task_id: `t-cut-${++made}`,
        message_id: `m-cut-${made}`,
        conversation_id: `c-cut-${made}`,
        workflow_run_id: `r-cut-${made}`,
      };
      const event = (name: string, more: object) => `data: ${JSON.stringify({ event: name, ...ids, ...more })}\n\n`;
      let stop = (): void => undefined;
      raw.behave((socket, request) => {
        if (request.head.includes("/stop")) {
          stop();
          return answerOf(200, '{"result":"success"}')(socket, request);
        }
        const node = event("node_finished", { data: { node_id: "n", execution_metadata: { total_tokens: before } } });
        socket.write(
          HEAD + event("workflow_started", { data: {} }) + (before > 0 ? node : "") + event("message", { answer: "To the left." }),
        );
        stop = () => {
          const usage = { prompt_tokens: before, completion_tokens: 0 };
          socket.end(
            event("workflow_finished", { data: { status: "stopped", total_tokens: before } }) +
              event("message_end", { metadata: { usage } }),
          );
        };
      });
      const ada = await rig.customer(await rig.relay.model([raw.url], { apiFormat: "dify", ...CONFIG, maxOutput: 1_000 }));
      if (how === "at his own wish") {
        const answer = rig
          .send(ada, "/chat-messages", { inputs: {}, query: "Which way?", response_mode: "streaming" })
          .then((sent) => sent.text());
        const stopped = async () => (await rig.send(ada, `/chat-messages/${ids.task_id}/stop`, { user: "x" })).status === 200;
        await waitFor(stopped, { timeoutMs: 5_000, message: "its task" });
        expect(await answer).to.match(/message_end/);
      } else await leave(ada, "/chat-messages", { query: "Which way?" }, 1);
      const { charged, estimated } = await rig.bill(ada);
      expect(estimated).to.equal(true);
      // The prompt's own words and the answer's are a few.
      expect(Number(charged - least)).to.be.within(0, 2_000_000);
    });
  }

  it("has no place among the calls at once any more while that is waited for", async () => {
    const dify = silent();
    const ada = await dify.customer({ max_parallel: 1, requests_per_minute: 1_000 });
    await leave(ada, "/chat-messages", { query: "Which way?" }, 1);
    await waitFor(async () => (await rig.send(ada, "/parameters")).status === 200, { timeoutMs: 400, message: "a place" });
    await rig.bill(ada);
  });

  /** A Dify that answers to be stopped, and then says nothing more of its answer unless it `says` what it used before. */
  function silent() {
    let usage: object | undefined;
    let turns = 0;
    const mine = ++made;
    const conversation = `c-left-${mine}`;
    raw.behave((socket, request) => {
      if (!/^POST \S*\/chat-messages /.test(request.head)) return answerOf(200, '{"result":"success"}')(socket, request);
      const ids = { task_id: `t-left-${mine}-${++turns}`, message_id: `m-left-${mine}-${turns}`, conversation_id: conversation };
      const event = (name: string, more: object) => `data: ${JSON.stringify({ event: name, ...ids, ...more })}\n\n`;
      socket.write(HEAD + event("message", { answer: "To the left." }));
      if (usage) socket.end(event("message_end", { metadata: { usage } }));
    });
    return {
      conversation,
      says: (prompt: number | undefined, completion = 0) =>
        void (usage = prompt === undefined ? undefined : { prompt_tokens: prompt, completion_tokens: completion }),
      customer: async (userLimits = { max_parallel: 10, requests_per_minute: 1_000 }, more: ModelOptions = {}) =>
        rig.customer(await rig.relay.model([raw.url], { apiFormat: "dify", ...CONFIG, ...more }), { userLimits, credits: "3000" }),
      /** One more turn, to its end. */
      async turn(ada: Customer) {
        const more = turns === 0 ? {} : { conversation_id: conversation };
        await (await rig.send(ada, "/chat-messages", { inputs: {}, query: "On?", response_mode: "streaming", ...more })).text();
        await waitFor(async () => (await rig.relay.lastEvent(ada))?.status === "ok", { timeoutMs: 5_000, message: "the record" });
      },
      /** What the conversation is known to have. */
      async grown(ada: Customer) {
        const { rows } = await rig.relay.pool.query<{ sum: string }>(
          "SELECT input_tokens + output_tokens AS sum FROM dify_ids WHERE owner = $1 AND id = $2",
          [`tk_${ada.userId}`, conversation],
        );
        return Number(rows[0]?.sum);
      },
    };
  }
  const paid = async (ada: Customer): Promise<bigint> => (await rig.bill(ada)).charged + 2_000_000_000n;
});

describe("a client that leaves a Dify app while the server stops", () => {
  const rig = useDify({ UPSTREAM_STOP_TIMEOUT: "60s" });

  it("pays what is known by then", async () => {
    const raw = await startRawUpstream();
    raw.behave((socket, request) => {
      if (!/^POST \S*\/chat-messages /.test(request.head)) return answerOf(200, '{"result":"success"}')(socket, request);
      const ids = { task_id: "t-stop", message_id: "m-stop", conversation_id: "c-stop" };
      socket.write(`${HEAD}data: ${JSON.stringify({ event: "message", ...ids, answer: "To the left." })}\n\n`);
    });
    const ada = await rig.customer(await rig.relay.model([raw.url], { apiFormat: "dify", ...CONFIG }));
    await rawCall(`${rig.relay.url}/dify/v1/chat-messages`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, query: "Which way?", response_mode: "streaming" }),
      leave: (text) => text.includes("left"),
    });
    await waitFor(() => raw.requests.length === 2, { timeoutMs: 5_000, message: "the stop call" });
    await rig.relay.gateway.drain(50);
    expect(rig.relay.gateway.live).to.equal(0);
    const bill = await rig.bill(ada);
    expect(bill).to.include({ status: "client_gone", estimated: true });
    expect(Number(bill.charged)).to.be.within(600_000_000, 602_000_000);
    await raw.close();
  });
});
