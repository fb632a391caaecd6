import { createHash } from "node:crypto";
import { expect } from "chai";
import { difyMessageKey } from "../../../../src/usage/index.ts";
import { rawCall } from "../../../support/rawCall.ts";
import { waitFor } from "../../../support/stack.ts";
import { claimEarly } from "./early.ts";
import { useDify } from "./rig.ts";

const ask = { inputs: {}, query: "Which way?", user: "whoever" };

describe("a Dify app behind the gateway", () => {
  const rig = useDify();

  it("is what the key names, the header, the query or the body, and never a guess between several", async () => {
    const [one, two] = [await rig.app("chat"), await rig.app("chat")];
    const both = await rig.relay.customer({ models: [one.model, two.model] });
    const sentTo = async (): Promise<string | undefined> => (await rig.dify.calls()).at(-1)?.headers["authorization"];
    const hash = (key: string): string => `sha256:${createHash("sha256").update(key).digest("hex")}`;

    expect((await rig.send(await rig.customer(one.model), "/chat-messages", ask)).status).to.equal(200);
    expect(await sentTo()).to.equal(hash(one.key));
    for (const [path, body, headers] of [
      ["/chat-messages", ask, { "x-dify-app": two.model }],
      [`/chat-messages?model=${two.model}`, ask, {}],
      ["/chat-messages", { ...ask, model: two.model }, {}],
    ] as const) {
      expect((await rig.send(both, path, body, { headers })).status).to.equal(200);
      expect(await sentTo()).to.equal(hash(two.key));
    }
    const unsaid = await rig.send(both, "/parameters");
    expect(await unsaid.json()).to.deep.include({ status: 400, code: "app_unavailable" });
    const other = await rig.send(await rig.customer(one.model), "/chat-messages", ask, { headers: { "x-dify-app": two.model } });
    expect([other.status, ((await other.json()) as { code: string }).code]).to.deep.equal([403, "model_not_allowed"]);
  });

  it("is told a user of ours, stable for the account, and neither the caller's words nor the name the app has here", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    await rig.send(ada, "/chat-messages", { ...ask, model, extra: "passes" });
    const [call] = await rig.dify.calls();
    expect(call!.body).to.deep.include({ user: `tk_${ada.userId}`, extra: "passes", response_mode: "streaming" });
    expect(call!.body).to.not.have.property("model");
  });

  for (const path of ["/parameters", "/info", "/meta", "/site"]) {
    it(`tells about itself at ${path}, free of charge`, async () => {
      const { model } = await rig.app("chat");
      const ada = await rig.customer(model);
      const answer = await rig.send(ada, `${path}?user=x`);
      expect([answer.status, typeof (await answer.json())]).to.deep.equal([200, "object"]);
      expect(answer.headers.get("x-request-id")).to.be.a("string");
      expect(answer.headers.get("set-cookie")).to.equal(null);
      expect(await rig.relay.lastEvent(ada)).to.equal(undefined);
    });
  }

  it("has no routes that show what others did, and says so in Dify's shape", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    for (const path of ["/workflows/logs", "/app/feedbacks", "/apps/annotations", "/datasets"]) {
      const answer = await rig.send(ada, path);
      expect([answer.status, ((await answer.json()) as { code: string }).code], path).to.deep.equal([404, "not_found"]);
    }
    const wrong = await rig.send(ada, "/parameters", {}, { method: "POST" });
    expect([wrong.status, wrong.headers.get("allow")]).to.deep.equal([405, "GET"]);
    const stranger = await rig.send("sk-tk-nobody", "/parameters");
    expect([stranger.status, ((await stranger.json()) as { code: string }).code]).to.deep.equal([401, "unauthorized"]);
  });

  it("answers 400 to blocking as an agent, in Dify's words", async () => {
    const { model } = await rig.app("agent");
    const ada = await rig.customer(model);
    const answer = await rig.send(ada, "/chat-messages", ask);
    expect(answer.status).to.equal(400);
    expect(await answer.json()).to.deep.include({
      code: "invalid_param",
      message: "Agent Chat App does not support blocking mode",
      status: 400,
    });
    expect(await rig.bill(ada)).to.include({ charged: 0n, status: "failed" });
  });

  for (const code of ["app_unavailable", "model_currently_not_support", "completion_request_error", "conversation_completed"]) {
    it(`passes its error ${code} on`, async () => {
      const { model } = await rig.app("chat");
      const answer = await rig.send(await rig.customer(model), "/chat-messages", { ...ask, query: `[[error:${code}]]` });
      expect(answer.status).to.equal(400);
      expect(await answer.json()).to.deep.include({ code, status: 400 });
    });
  }

  for (const code of ["provider_quota_exceeded", "provider_not_initialize"]) {
    it(`makes ${code} the operator's business: 502 to the caller, its own code on record`, async () => {
      const { model, key } = await rig.app("chat");
      const ada = await rig.customer(model);
      const answer = await rig.send(ada, "/chat-messages", { ...ask, query: `[[error:${code}]]` });
      const text = await answer.text();
      expect(answer.status).to.equal(502);
      expect(text).to.not.match(/quota|initialize/);
      expect(text).to.not.include(key);
      const event = await waitFor(() => rig.relay.lastEvent(ada), { timeoutMs: 5_000, message: "the record" });
      expect(event).to.deep.include({ status: "failed", error_code: "upstream_quota_exceeded" });
    });
  }

  it("is called by Dify's clients alone, and other apps by theirs", async () => {
    const { model } = await rig.app("chat");
    const plain = await rig.relay.model([rig.dify.url]);
    const ada = await rig.relay.customer();
    const wrong = await fetch(`${rig.relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "?" }] }),
    });
    expect([wrong.status, ((await wrong.json()) as { error: { param: string } }).error.param]).to.deep.equal([400, "model"]);
    expect((await rig.send(ada, "/chat-messages", { ...ask, model: plain })).status).to.equal(400);
  });

  for (const [kind, path, words] of [
    ["chat", "/chat-messages", "message"],
    ["completion", "/completion-messages", "message"],
    ["workflow", "/workflows/run", "text_chunk"],
  ] as const) {
    it(`${kind}: is told to stop, by the call's own user, when its client leaves`, async () => {
      const { model } = await rig.app(kind);
      const ada = await rig.customer(model);
      const said = "[[chunks:200]] [[pace:20ms]] Which way?";
      let task = "";
      await rawCall(`${rig.relay.url}/dify/v1${path}`, {
        headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
        body: JSON.stringify({ inputs: { query: said }, query: said, response_mode: "streaming" }),
        leave(text) {
          task = /"task_id":"([^"]+)"/.exec(text)?.[1] ?? "";
          return text.split(`"event":"${words}"`).length > 3;
        },
      });
      const stop = await waitFor(async () => (await rig.dify.calls()).find((call) => call.path.endsWith("/stop")), {
        timeoutMs: 5_000,
        message: "the stop call",
      });
      expect([stop!.path.includes(task), stop!.body]).to.deep.equal([true, { user: `tk_${ada.userId}` }]);
      // Dify says what a stopped answer used.
      expect(await rig.bill(ada)).to.include({
        status: "client_gone",
        estimated: false,
        charged: kind === "workflow" ? 103_500_000n : 93_000_000n,
      });
    });
  }

  it("is told to stop as soon as it says how, when its client left before that", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const leave = new AbortController();
    const call = rawCall(`${rig.relay.url}/dify/v1/chat-messages`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ ...ask, query: "[[delay:1500ms]] [[pace:20ms]] [[chunks:100]] Which way?", response_mode: "streaming" }),
      signal: leave.signal,
    });
    await waitFor(async () => (await rig.dify.calls()).length === 1, { timeoutMs: 5_000, message: "Dify's request" });
    leave.abort();
    await call;
    await waitFor(async () => (await rig.dify.calls()).some(({ path }) => path.endsWith("/stop")), {
      timeoutMs: 5_000,
      message: "the stop call",
    });
    expect(await rig.bill(ada)).to.include({ charged: 0n, status: "client_gone" });
  });

  it("stops at its caller's wish: the stream ends in order and costs what was used", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const answer = await rig.send(ada, "/chat-messages", {
      ...ask,
      query: "[[chunks:300]] [[pace:20ms]] Which way?",
      response_mode: "streaming",
    });
    let text = "";
    let stopped: Response | undefined;
    for await (const bytes of answer.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
      text += bytes;
      const task = /"task_id":"([^"]+)"/.exec(text)?.[1];
      // At once: what this process is just noting is known.
      if (task && !stopped) stopped = await rig.send(ada, `/chat-messages/${task}/stop`, { user: "whoever" });
    }
    expect([stopped!.status, await stopped!.json()]).to.deep.equal([200, { result: "success" }]);
    expect(text).to.match(/"event":"message_end"/);
    expect(text.split('"event":"message"').length).to.be.lessThan(200);
    expect(await rig.bill(ada)).to.include({ charged: 93_000_000n, status: "ok" });
  });

  it("a message that the webhook has reported before its stream ends is charged there alone", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const hook = await claimEarly(rig);
    const events = await rig.stream(ada, "/chat-messages", { query: "[[webhook:early]] Which way?" });
    expect(events.some(({ event }) => event === "message_end")).to.equal(true);
    expect(hook.messages).to.have.length(1);
    expect(hook.users).to.deep.equal([`tk_${ada.userId}`]);
    expect(await rig.bill(ada)).to.include({ charged: 0n, status: "ok", code: "charged_before" });
    hook.close();
  });

  it("a message that was relayed is found by its key, charged and settled once", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const { message_id: message } = (await (await rig.send(ada, "/chat-messages", ask)).json()) as Record<string, string>;
    const { rows } = await rig.relay.pool.query<{ event_id: string }>("SELECT event_id FROM usage_messages WHERE message_key = $1", [
      difyMessageKey(message!),
    ]);
    expect(rows.map((row) => row.event_id)).to.deep.equal([(await rig.relay.lastEvent(ada))!.id]);
  });
});
