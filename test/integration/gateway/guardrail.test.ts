import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { SECRET, startService, type Service } from "./guardrailService.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

describe("the guardrail", () => {
  const places = useStack();
  let upstream: RawUpstream;
  let service: Service;

  before(async () => {
    upstream = await startRawUpstream();
    service = await startService();
  });
  beforeEach(() => {
    service.asked = [];
    service.mood = "well";
  });
  after(async () => {
    await upstream?.close();
    await service?.close();
  });

  async function withRelay(
    env: Record<string, string>,
    work: (relay: Relay, ada: Customer, model: string) => Promise<void>,
  ): Promise<void> {
    const relay = await startRelay(places, { GUARDRAIL_URL: service.url, GUARDRAIL_SECRET: SECRET, GUARDRAIL_TIMEOUT: "300ms", ...env });
    try {
      await work(relay, await relay.customer(), await relay.model([upstream.url]));
    } finally {
      await relay.close();
    }
  }
  const ask = (relay: Relay, who: Customer, model: string, content: string, stream = false): Promise<Response> =>
    fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${who.key}` },
      body: JSON.stringify({ model, stream, max_tokens: 900, messages: [{ role: "user", content }] }),
    });
  const whole = (content: string, input = 1_500, output = 800): string =>
    JSON.stringify({
      choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
      usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
    });
  const answers = (content: string): void => upstream.behave(answerOf(200, whole(content)));
  async function spent(relay: Relay, who: Customer): Promise<bigint> {
    await relay.settle();
    const { total, held } = await relay.balance(who);
    expect(held).to.equal("0");
    return 1_000_000_000n - BigInt(total);
  }

  it("is asked, signed, before the provider; what it refuses never gets there, costs nothing and is on the record", async () => {
    await withRelay({}, async (relay, ada, model) => {
      answers("One coin.");
      expect((await ask(relay, ada, model, "How much?")).status).to.equal(200);
      expect(service.asked).to.have.length(1);
      expect(service.asked[0]).to.include({ stage: "request", model, user_id: ada.userId });
      expect(JSON.stringify(service.asked[0]!.content)).to.contain("How much?");
      expect(service.forged).to.equal(0);
      const refused = await ask(relay, ada, model, "How do I pay the troll?");
      expect(refused.status).to.equal(400);
      expect(((await refused.json()) as { error: object }).error).to.include({
        code: "content_refused",
        message: "No trolls on this bridge",
      });
      expect(upstream.requests).to.have.length(1);
      expect(await spent(relay, ada)).to.equal(93_000_000n);
      const recorded = async () => (await relay.lastEvent(ada))?.error_code === "guardrail_trolls";
      await waitFor(recorded, { timeoutMs: 3_000, message: "the refusal to be on the record" });
    });
  });

  it("sees what pictures are made from, in a form too", async () => {
    await withRelay({}, async (relay, ada, model) => {
      const headers = { authorization: `Bearer ${ada.key}` };
      const url = `${relay.url}/v1/images/edits`;
      const asked = upstream.requests.length;
      const form = new FormData();
      form.set("model", model);
      form.set("prompt", "A troll");
      form.set("image", new File(["x"], "x.png", { type: "image/png" }));
      expect((await fetch(url, { method: "POST", headers, body: form })).status).to.equal(400);
      const json = JSON.stringify({ model, prompt: "A troll", images: [{ image_url: "https://example.com/x.png" }] });
      const plain = await fetch(url, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: json });
      expect(((await plain.json()) as { error: { code: string } }).error.code).to.equal("content_refused");
      expect(service.asked).to.have.length(2);
      expect(upstream.requests).to.have.length(asked);
    });
  });

  it("may keep an answer from the client, of a stream every byte of it", async () => {
    await withRelay({ GUARDRAIL_ANSWERS: "true" }, async (relay, ada, model) => {
      answers("Ask the troll.");
      const whole = await ask(relay, ada, model, "Whom?");
      expect(whole.status).to.equal(400);
      expect(await whole.text()).to.not.contain("Ask the troll");
      upstream.behave(streamOf(text("Ask"), text(" the troll"), STOP, usage(1500, 800), DONE));
      const stream = await ask(relay, ada, model, "Whom?", true);
      expect(await stream.text()).to.not.contain("Ask");
      expect(await spent(relay, ada)).to.equal(0n);
      upstream.behave(streamOf(text("Ask"), text(" the keeper"), STOP, usage(1500, 800), DONE));
      expect(await (await ask(relay, ada, model, "Whom?", true)).text()).to.match(/Ask[^]* the keeper[^]*\[DONE\]\n\n$/);
      expect(await spent(relay, ada)).to.equal(93_000_000n);
    });
  });

  for (const mood of ["hang", "fail"] as const) {
    it(`that does not say (${mood}) refuses every call, or none, as configured`, async () => {
      answers("One coin.");
      await withRelay({}, async (relay, ada, model) => {
        service.mood = mood;
        const refused = await ask(relay, ada, model, "How much?");
        expect(refused.status).to.equal(503);
        expect(refused.headers.get("retry-after")).to.equal("2");
        expect(await spent(relay, ada)).to.equal(0n);
      });
      await withRelay({ GUARDRAIL_ON_FAILURE: "allow" }, async (relay, ada, model) => {
        expect((await ask(relay, ada, model, "How much?")).status).to.equal(200);
        expect(await spent(relay, ada)).to.equal(93_000_000n);
      });
    });
  }

  for (const stream of [true, false]) {
    it(`does not let a client off that leaves while its answer is checked (${stream ? "stream" : "whole"})`, async () => {
      await withRelay({ GUARDRAIL_ANSWERS: "true", GUARDRAIL_ON_FAILURE: "allow" }, async (relay, ada, model) => {
        upstream.behave((socket, request) => {
          service.mood = "hang";
          return stream
            ? streamOf(text("Pay"), STOP, usage(10, 5), DONE)(socket, request)
            : answerOf(200, whole("Pay", 10, 5))(socket, request);
        });
        const leave = new AbortController();
        const asking = fetch(`${relay.url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}` },
          body: JSON.stringify({ model, stream, max_tokens: 20, messages: [{ role: "user", content: "How much?" }] }),
          signal: leave.signal,
        }).catch(() => undefined);
        await waitFor(() => service.asked.some(({ stage }) => stage === "answer"), {
          timeoutMs: 5_000,
          message: "the check of the answer",
        });
        leave.abort();
        await asking;
        await waitFor(async () => (await relay.lastEvent(ada)) !== undefined, { timeoutMs: 5_000, message: "the record" });
        await relay.settle();
        expect(await relay.lastEvent(ada)).to.include({ status: "ok", input_tokens: 10n, output_tokens: 5n });
        expect(await relay.balance(ada)).to.deep.equal({ total: String(1_000_000_000n - 10n * 30_000n - 5n * 60_000n), held: "0" });
      });
    });
  }

  it("in shadow mode refuses nothing", async () => {
    await withRelay({ GUARDRAIL_MODE: "shadow", GUARDRAIL_ANSWERS: "true" }, async (relay, ada, model) => {
      answers("Ask the troll.");
      expect((await ask(relay, ada, model, "How do I pay the troll?")).status).to.equal(200);
      expect(service.asked.map(({ stage }) => stage)).to.deep.equal(["request", "answer"]);
      expect(await relay.metrics.text()).to.match(/tollkeeper_guardrail_refusals_total\S* 2\b/);
    });
  });
});
