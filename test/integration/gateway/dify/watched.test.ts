import { expect } from "chai";
import { rawCall } from "../../../support/rawCall.ts";
import { waitFor } from "../../../support/waitFor.ts";
import { startRawUpstream, type RawUpstream } from "../rawUpstream.ts";
import { useDify } from "./rig.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

describe("a run of Dify's whose events are opened a second time", () => {
  const rig = useDify();
  let raw: RawUpstream;

  before(async () => (raw = await startRawUpstream()));
  after(() => raw?.close());

  for (const [kind, path, ids] of [
    ["workflow", "/workflows/run", { task_id: "t-w", workflow_run_id: "r-w" }],
    ["chatflow", "/chat-messages", { task_id: "t-c", workflow_run_id: "r-c", message_id: "m-c", conversation_id: "c-c" }],
  ] as const) {
    it(`${kind}: is paid by the call that runs it, whoever leaves early beside it`, async () => {
      const event = (name: string, data: object) => `data: ${JSON.stringify({ event: name, ...ids, ...data })}\n\n`;
      let end = (): void => expect.fail("the run has not begun");
      raw.behave((socket, request) => {
        socket.write(
          HEAD +
            event("workflow_started", { data: {} }) +
            event(kind === "workflow" ? "text_chunk" : "message", { data: { text: "Left." }, answer: "Left." }),
        );
        if (request.head.startsWith("GET")) return;
        end = () => {
          const run = event("workflow_finished", { data: { status: "succeeded", total_tokens: 2_300 } });
          const message = event("message_end", { metadata: { usage: { prompt_tokens: 1_500, completion_tokens: 800 } } });
          socket.end(run + (kind === "chatflow" ? message : ""));
        };
      });
      const ada = await rig.customer(await rig.relay.model([raw.url], { apiFormat: "dify" }));
      const answer = rig.send(ada, path, { inputs: {}, query: "Which way?", response_mode: "streaming" }).then((sent) => sent.text());
      await waitFor(
        async () => (await rig.relay.pool.query("SELECT FROM dify_ids WHERE id = $1", [ids.workflow_run_id])).rows.length === 1,
        { timeoutMs: 5_000, message: "the run" },
      );
      await rawCall(`${rig.relay.url}/dify/v1/workflow/${ids.workflow_run_id}/events`, {
        method: "GET",
        headers: { authorization: `Bearer ${ada.key}` },
        leave: (text) => text.includes("Left."),
      });
      await waitFor(() => rig.relay.gateway.live === 1, { timeoutMs: 5_000, message: "the second one to end" });
      end();
      expect(await answer).to.match(/workflow_finished/);
      expect(await rig.bill(ada)).to.include({ charged: kind === "workflow" ? 103_500_000n : 93_000_000n, status: "ok", code: null });
      expect(raw.requests.some(({ head }) => head.includes("/stop"))).to.equal(false);
    });
  }

  it("is watched by so many at once, and no more", async () => {
    const ids = { task_id: "t-m", workflow_run_id: "r-m" };
    let end = (): void => undefined;
    raw.behave((socket, request) => {
      const event = (name: string, data: object) => `data: ${JSON.stringify({ event: name, ...ids, data })}\n\n`;
      socket.write(HEAD + event("workflow_started", {}) + event("text_chunk", { text: "Left." }));
      if (request.head.startsWith("POST"))
        end = () => void socket.end(event("workflow_finished", { status: "succeeded", total_tokens: 2_300 }));
    });
    const ada = await rig.customer(await rig.relay.model([raw.url], { apiFormat: "dify" }));
    const answer = rig.send(ada, "/workflows/run", { inputs: {}, response_mode: "streaming" }).then((sent) => sent.text());
    await waitFor(async () => (await rig.relay.pool.query("SELECT FROM dify_ids WHERE id = 'r-m'")).rows.length === 1, {
      timeoutMs: 5_000,
      message: "the run",
    });
    const leaving = new AbortController();
    const watch = () => rig.send(ada, "/workflow/r-m/events", undefined, { signal: leaving.signal });
    const watching = await Promise.all(Array.from({ length: 20 }, watch));
    expect(new Set(watching.map(({ status }) => status))).to.deep.equal(new Set([200]));
    const refused = await watch();
    expect([refused.status, ((await refused.json()) as { code: string }).code]).to.deep.equal([429, "too_many_requests"]);
    leaving.abort();
    await waitFor(() => rig.relay.gateway.live === 1, { timeoutMs: 5_000, message: "them to end" });
    end();
    await answer;
    expect((await rig.bill(ada)).charged).to.equal(103_500_000n);
  });
});
