import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, type RawUpstream, ROLE, startRawUpstream, streamOf, text } from "./rawUpstream.ts";

const KEY = "a-key-like-no-other";
const WORDS = `Key ${KEY} may not use upstream-model at llm-7.prod.example.com:8443/v1, AIzaSyA1234567890abcdefghijklmnopqrstuv neither`;
const SECRET = /a-key-like|upstream-model|prod\.example|8443|AIza/;

describe("what a provider says of itself", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let ada: Customer;
  let model: string;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places);
    ada = await relay.customer();
    model = await relay.model([upstream.url], { providers: [{ keys: [KEY] }] });
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  async function call(stream: boolean, who = ada): Promise<{ status: number; said: string }> {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${who.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], max_tokens: 50, stream }),
    });
    return { status: response.status, said: await response.text() };
  }

  it("in an error answer does not reach the client; what it says of the request does", async () => {
    upstream.behave(
      answerOf(400, JSON.stringify({ error: { message: `max_tokens is too large. ${WORDS}`, type: "invalid_request_error" } })),
    );
    const { status, said } = await call(false);
    expect(status).to.equal(400);
    expect(said).to.contain("max_tokens is too large").and.contain(model).and.not.match(SECRET);
    const event = await waitFor(() => relay.lastEvent(ada), { timeoutMs: 3_000, message: "the record" });
    const [attempt] = event.attempts as unknown as { said: string }[];
    expect(attempt!.said, "for operators").to.contain("Key [key] may not use upstream-model at llm-7").and.not.contain(KEY);
  });

  it("in an error answer is kept for operators whatever it is made of", async () => {
    upstream.behave(answerOf(500, `\u0000\u0007${"😀".repeat(2_000)}`, "content-type: text/plain"));
    const bob = await relay.customer();
    expect((await call(false, bob)).status).to.equal(502);
    const event = await waitFor(() => relay.lastEvent(bob), { timeoutMs: 3_000, message: "the record" });
    expect((event.attempts as unknown as { said: string }[])[0]!.said).to.equal("😀".repeat(500));
  });

  it("in an error in the middle of a stream does not either", async () => {
    upstream.behave(streamOf(ROLE, text("Hello"), `data: ${JSON.stringify({ error: { message: WORDS } })}\n\n`));
    const { status, said } = await call(true);
    expect(status).to.equal(200);
    expect(said.slice(said.indexOf("error")))
      .to.contain("The provider failed")
      .and.not.match(SECRET);
  });
});
