import { expect } from "chai";
import { useDify, type AppKind } from "./rig.ts";

const ROUTES: Partial<Record<AppKind, string>> = {
  chat: "/chat-messages",
  chatflow: "/chat-messages",
  completion: "/completion-messages",
  workflow: "/workflows/run",
};
const MESSAGE = ["event", "task_id", "id", "message_id", "conversation_id", "mode", "answer", "metadata", "created_at"];
const RUN = ["id", "workflow_id", "status", "outputs", "error", "elapsed_time", "total_tokens", "total_steps", "created_at", "finished_at"];

type Body = Record<string, unknown>;

describe("a blocking call of a Dify app, which is asked for a stream", () => {
  const rig = useDify();

  async function ask(kind: AppKind, words = "Which way?") {
    const { model } = await rig.app(kind);
    const ada = await rig.customer(model);
    const inputs = kind === "workflow" || kind === "completion" ? { query: words } : {};
    const answer = await rig.send(ada, ROUTES[kind] ?? "/chat-messages", { inputs, query: words, response_mode: "blocking", user: "x" });
    return { ada, answer, body: (await answer.json()) as Body };
  }

  for (const [kind, fields, mode] of [
    ["chat", MESSAGE, "chat"],
    ["chatflow", MESSAGE, "advanced-chat"],
    ["completion", MESSAGE.filter((name) => name !== "conversation_id"), "completion"],
  ] as const) {
    it(`${kind}: has the fields of Dify's own answer, no more and no less`, async () => {
      const { answer, body } = await ask(kind, "[[pings:3]] Which way?");
      expect([answer.status, answer.headers.get("content-type")]).to.deep.equal([200, "application/json"]);
      expect(Object.keys(body)).to.deep.equal(fields);
      expect(body).to.include({ event: "message", mode });
      expect(body["id"]).to.equal(body["message_id"]);
      expect(body["answer"]).to.match(/\w/);
      expect(body["created_at"]).to.be.a("number");
      expect((body["metadata"] as { usage: Body }).usage).to.include({ prompt_tokens: 1_500, completion_tokens: 800, currency: "USD" });
    });
  }

  it("workflow: has the fields of Dify's own answer, no more and no less", async () => {
    const { body } = await ask("workflow");
    expect(Object.keys(body)).to.deep.equal(["task_id", "workflow_run_id", "data"]);
    const data = body["data"] as Body;
    expect(Object.keys(data)).to.deep.equal(RUN);
    expect(data).to.include({ id: body["workflow_run_id"], status: "succeeded", total_tokens: 2_300, error: null });
  });

  it("a replaced answer is the one that took its place", async () => {
    const { body, ada } = await ask("chat", "[[replace]] Which way?");
    expect(body["answer"]).to.equal("This answer cannot be shown.");
    expect(await rig.bill(ada)).to.include({ charged: 93_000_000n });
  });

  it("a run that pauses says so, with what was used until then", async () => {
    const { body, ada } = await ask("workflow", "[[outcome:paused]] Which way?");
    expect(body["data"]).to.include({ status: "paused", total_tokens: 2_300 });
    expect(await rig.bill(ada)).to.include({ charged: 103_500_000n, status: "ok" });
  });

  it("an error that Dify says in the stream is answered with Dify's status and code, without the operator's key", async () => {
    const { answer, body, ada } = await ask("chat", "[[fault:error_in_band after=0]] Which way?");
    expect(answer.status).to.equal(400);
    expect(body).to.include({ code: "completion_request_error", status: 400 });
    expect(JSON.stringify(body)).to.not.match(/sk-demo/);
    expect(await rig.bill(ada)).to.include({ charged: 0n, status: "failed", code: "upstream_rejected" });
  });

  it("an agent has no answers in one piece: it is stopped and free, and not asked again", async () => {
    const { model } = await rig.app("agent");
    const ada = await rig.customer(model);
    const call = () => rig.send(ada, "/chat-messages", { inputs: {}, query: "[[pace:20ms]] [[chunks:50]] Which way?", user: "x" });
    for (const asked of [1, 1]) {
      const answer = await call();
      expect([answer.status, ((await answer.json()) as Body)["message"]]).to.deep.equal([
        400,
        "Agent Chat App does not support blocking mode",
      ]);
      const calls = (await rig.dify.calls()).filter(({ path }) => path.endsWith("/chat-messages"));
      expect(calls).to.have.length(asked);
    }
    expect(await rig.bill(ada)).to.include({ charged: 0n, status: "failed" });
    expect((await rig.dify.calls()).filter(({ path }) => path.endsWith("/stop"))).to.have.length(1);
  });
});
