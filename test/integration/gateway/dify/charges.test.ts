import { expect } from "chai";
import { useDify, type AppKind, type DifyEvent } from "./rig.ts";

const FULL = 93_000_000n;
/** 2300 tokens, half of them priced as input. */
const BLENDED = 103_500_000n;

const ROUTES: Record<AppKind, string> = {
  chat: "/chat-messages",
  agent: "/chat-messages",
  chatflow: "/chat-messages",
  completion: "/completion-messages",
  workflow: "/workflows/run",
};
const bodyOf = (kind: AppKind, words = "Which way?"): object =>
  kind === "workflow" || kind === "completion" ? { inputs: { query: words } } : { query: words };
const names = (events: DifyEvent[]): string[] => events.map(({ event }) => event);

describe("what a call of a Dify app costs", () => {
  const rig = useDify();

  for (const kind of ["chat", "completion", "chatflow", "workflow"] as const) {
    it(`${kind}, in one piece: the app's own figures`, async () => {
      const { model } = await rig.app(kind);
      const ada = await rig.customer(model);
      const answer = await rig.send(ada, ROUTES[kind], { inputs: {}, user: "x", ...bodyOf(kind) });
      expect(answer.status).to.equal(200);
      expect(answer.headers.get("x-tollkeeper-cost")).to.equal(kind === "workflow" ? "103.5" : "93");
      const body = (await answer.json()) as { answer?: string; data?: { outputs: { text: string } } };
      expect(body.answer ?? body.data?.outputs.text).to.match(/\w/);
      expect(await rig.bill(ada)).to.include({ charged: kind === "workflow" ? BLENDED : FULL, status: "ok", estimated: false });
    });
  }

  for (const kind of ["chat", "agent", "chatflow", "completion", "workflow"] as const) {
    it(`${kind}, as a stream: charged once, and every event in Dify's order`, async () => {
      const { model } = await rig.app(kind);
      const ada = await rig.customer(model);
      const events = await rig.stream(ada, ROUTES[kind], bodyOf(kind, kind === "agent" ? "[[tool:get_weather]] Which way?" : undefined));
      const sent = rig.dify.calls();
      const words = kind === "workflow" ? "text_chunk" : kind === "agent" ? "agent_message" : "message";
      expect(names(events).filter((name) => name === words)).to.have.length(4);
      const expected: Record<AppKind, string[]> = {
        chat: ["message_end", "tts_message_end"],
        completion: ["message_end", "tts_message_end"],
        agent: ["agent_message", "message_end"],
        chatflow: ["node_finished", "workflow_finished", "message_end"],
        workflow: ["text_chunk", "node_finished", "workflow_finished"],
      };
      expect(names(events).slice(-expected[kind].length)).to.deep.equal(expected[kind]);
      if (kind === "agent") expect(names(events)).to.include.members(["agent_thought", "message_file"]);
      expect((await sent).filter(({ path }) => path.endsWith("/stop"))).to.deep.equal([]);
      expect(await rig.bill(ada)).to.include({ charged: kind === "workflow" ? BLENDED : FULL, status: "ok", estimated: false });
    });
  }

  it("the price of a workflow's total is the operator's to part", async () => {
    const { model } = await rig.app("workflow", { config: { dify: { input_percent: 80 } } });
    const ada = await rig.customer(model);
    await rig.stream(ada, ROUTES.workflow, bodyOf("workflow"));
    // 1840 at 30 and 460 at 60.
    expect(await rig.bill(ada)).to.include({ charged: 82_800_000n });
  });

  it("pings without data pass, and begin no answer", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const events = await rig.stream(ada, ROUTES.chat, { query: "[[pings:3]] Which way?" });
    expect(names(events)[0]).to.equal("message");
    const answer = await rig.send(ada, ROUTES.chat, { inputs: {}, query: "[[error:app_unavailable]]", response_mode: "streaming" });
    expect(answer.status).to.equal(400);
  });

  it("a replaced answer is shown as replaced and costs what was spent", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const events = await rig.stream(ada, ROUTES.chat, { query: "[[replace]] Which way?" });
    expect(names(events)).to.include("message_replace");
    expect(await rig.bill(ada)).to.include({ charged: FULL });
  });

  for (const [outcome, charged, status, code] of [
    ["partial-succeeded", BLENDED, "ok", null],
    ["stopped", BLENDED, "ok", null],
    ["failed", 0n, "failed", "upstream_run_failed"],
  ] as const) {
    for (const response_mode of ["streaming", "blocking"]) {
      it(`a run that ends as ${outcome}, ${response_mode}: ${charged === 0n ? "free" : "charged"}, and told in Dify's words`, async () => {
        const { model } = await rig.app("workflow");
        const ada = await rig.customer(model);
        const inputs = { query: `[[outcome:${outcome}]] Which way?` };
        const answer = await rig.send(ada, ROUTES.workflow, { inputs, response_mode });
        const text = await answer.text();
        expect(answer.status).to.equal(200);
        expect(text).to.match(new RegExp(`"status":"${outcome}"`));
        // Dify repeats what the vendor said of the operator's key.
        expect(text).to.not.match(/sk-demo|10\.0\.0\.7/);
        expect(await rig.bill(ada)).to.include({ charged, status, code });
      });
    }
  }

  it("a chatflow that fails says so twice, as Dify does, and is free", async () => {
    const { model } = await rig.app("chatflow");
    const ada = await rig.customer(model);
    const events = await rig.stream(ada, ROUTES.chatflow, { query: "[[outcome:failed]] Which way?" });
    expect(names(events).slice(-2)).to.deep.equal(["workflow_finished", "error"]);
    expect(JSON.stringify(events)).to.not.match(/sk-demo|10\.0\.0\.7/);
    expect(await rig.bill(ada)).to.include({ charged: 0n, status: "failed" });
  });

  it("speech and transcripts by their own prices, a message spoken by its length", async () => {
    const prices = { prices: { character_price: "1", second_price: "2" } };
    const { model } = await rig.app("chat", prices);
    const ada = await rig.customer(model, { credits: "100000" });
    const spoken = await rig.send(ada, "/text-to-audio", { text: "Which way?", user: "x" });
    expect(spoken.headers.get("content-type")).to.equal("audio/mpeg");
    expect((await spoken.arrayBuffer()).byteLength).to.be.greaterThan(100);
    const event = await rig.relay.lastEvent(ada);
    expect(event?.units).to.deep.equal({ characters: 10 });
    const answer = (await (await rig.send(ada, ROUTES.chat, { inputs: {}, query: "Which way?" })).json()) as {
      message_id: string;
      answer: string;
    };
    await (await rig.send(ada, "/text-to-audio", { text: "a", message_id: answer.message_id })).arrayBuffer();
    expect((await rig.relay.lastEvent(ada))?.units).to.deep.equal({ characters: answer.answer.length });
    const events = await rig.stream(ada, ROUTES.chat, { query: "[[replace]] Which way?" });
    await (await rig.send(ada, "/text-to-audio", { message_id: events.at(-1)!["message_id"] })).arrayBuffer();
    expect((await rig.relay.lastEvent(ada))?.units).to.deep.equal({ characters: "This answer cannot be shown.".length });
  });

  it("a message that failed is not spoken for next to nothing", async () => {
    const { model } = await rig.app("chat", { prices: { character_price: "1" } });
    const ada = await rig.customer(model, { credits: "100000" });
    const events = await rig.stream(ada, ROUTES.chat, { query: "[[fault:error_in_band after=2]] Which way?" });
    expect(events.at(-1)!.event).to.equal("error");
    const spoken = await rig.send(ada, "/text-to-audio", { message_id: events[0]!["message_id"] ?? events[1]!["message_id"] });
    expect([spoken.status, ((await spoken.json()) as { code: string }).code]).to.deep.equal([400, "invalid_param"]);
  });

  it("an app without a price for sound does not speak for free", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const answer = await rig.send(ada, "/text-to-audio", { text: "Which way?" });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).to.deep.equal([503, "model_not_priced"]);
  });

  it("questions and names that the app makes are counted, a name of the caller's own is free", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const { message_id: message, conversation_id: conversation } = (await (
      await rig.send(ada, ROUTES.chat, { inputs: {}, query: "Which way?" })
    ).json()) as Record<string, string>;
    const questions = await rig.send(ada, `/messages/${message}/suggested?user=x`);
    expect(((await questions.json()) as { data: string[] }).data).to.have.length(3);
    // The conversation as counted, and Dify's own words.
    expect(await rig.relay.lastEvent(ada)).to.deep.include({ status: "ok", estimated: true, input_tokens: 2_450n });
    const named = await rig.send(ada, `/conversations/${conversation}/name`, { auto_generate: true, user: "x" });
    expect(((await named.json()) as { name: string }).name).to.match(/\w/);
    expect(await rig.relay.lastEvent(ada)).to.deep.include({ estimated: true, input_tokens: 1_700n });
    const before = (await rig.bill(ada)).charged;
    for (const wish of ["true", 1]) {
      expect((await rig.send(ada, `/conversations/${conversation}/name`, { auto_generate: wish, user: "x" })).status).to.equal(400);
    }
    await rig.send(ada, `/conversations/${conversation}/name`, { name: "Mine", user: "x" });
    expect((await rig.bill(ada)).charged).to.equal(before);
  });

  it("what a conversation has grown to is held for and, where nobody counts, charged", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model);
    const first = (await (await rig.send(ada, ROUTES.chat, { inputs: {}, query: "Which way?" })).json()) as Record<string, string>;
    await rig.dify.tell("[[fault:no_usage]]");
    await rig.send(ada, ROUTES.chat, { inputs: {}, query: "And then?", conversation_id: first["conversation_id"] });
    expect(Number((await rig.relay.lastEvent(ada))?.input_tokens)).to.be.within(2_301, 2_310);
  });

  it("a wallet that does not cover what an app may say is refused before Dify is asked", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model, { credits: "50" });
    const answer = await rig.send(ada, ROUTES.chat, { inputs: {}, query: "Which way?" });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).to.deep.equal([402, "insufficient_balance"]);
    expect(await rig.dify.calls()).to.deep.equal([]);
  });
});
