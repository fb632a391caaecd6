import { lookup } from "node:dns";
import { expect } from "chai";
import { publicLookup } from "../../../src/platform/addresses.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, DONE, FULL, REST, ROLE, startRawUpstream, STOP, streamOf, text, type RawUpstream } from "./rawUpstream.ts";

const good = streamOf(ROLE, text(REST), STOP, FULL, DONE);

describe("where a provider's URL may lead", () => {
  const places = useStack();
  let strict: Relay;
  let upstream: RawUpstream;
  let inside: RawUpstream;
  let ada: Customer;

  before(async () => {
    [upstream, inside] = await Promise.all([startRawUpstream(), startRawUpstream()]);
    strict = await startRelay(places, { UPSTREAM_PRIVATE_ADDRESSES: "false" });
    ada = await strict.customer();
  });
  beforeEach(() => {
    upstream.behave(good);
    inside.behave(good);
  });
  after(async () => {
    await strict?.close();
    await Promise.all([upstream?.close(), inside?.close()]);
  });

  async function call(relay: Relay, model: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], max_tokens: 50 }),
    });
    return { status: response.status, text: await response.text() };
  }

  const port = () => new URL(upstream.url).port;

  it("a private address is not connected to, whatever was saved", async () => {
    for (const url of [upstream.url, `http://[::ffff:127.0.0.1]:${port()}`, `http://2130706433:${port()}`]) {
      const answer = await call(strict, await strict.model([url]));
      expect(answer.status, url).to.equal(502);
      expect(answer.text).to.not.match(/127\.0|private/);
    }
    expect(upstream.requests).to.have.length(0);
  });

  it("nor is a name that leads to one by the time of the call, though it was public when it was saved", async () => {
    // What the name says is asked again for the connection itself, and that answer is what is connected to.
    const answer = await call(strict, await strict.model([`http://localhost:${port()}`]));
    expect(answer.status).to.equal(502);
    expect(upstream.requests).to.have.length(0);
  });

  it("the address that was checked is the one that is connected to: one look-up, refused when any of its addresses is private", async () => {
    const found = await new Promise<{ error: Error | null; address: unknown }>((resolve) =>
      publicLookup("localhost", { all: true }, (error, address) => resolve({ error, address })),
    );
    expect(found.error).to.include({ code: "EPRIVATE" });
    // The machine itself would have gone there.
    const plain = await new Promise<unknown>((resolve) => lookup("localhost", { all: true }, (_error, addresses) => resolve(addresses)));
    expect(plain).to.not.deep.equal([]);
  });

  it("a redirect is not followed, neither outside nor inside", async () => {
    const relay = await startRelay(places);
    try {
      const model = await relay.model([upstream.url]);
      for (const status of [301, 302, 303, 307, 308]) {
        upstream.behave(answerOf(status, "", `location: ${inside.url}/v1/chat/completions`));
        expect((await call(relay, model)).status, String(status)).to.equal(502);
      }
      expect(inside.requests).to.have.length(0);
    } finally {
      await relay.close();
    }
  });

  it("a custom path stays on the provider's host, whatever the model is called", async () => {
    const relay = await startRelay(places);
    try {
      const custom = { speaks: "openai", auth_header: "api-key", auth_template: "{{api_key}}", paths: { chat: "/d/{{model}}/chat?v=1" } };
      const model = await relay.model([upstream.url], { providers: [{ apiFormat: "custom", config: { custom } }] });
      await relay.pool.query("UPDATE provider_models SET upstream_model = $1 WHERE model_name = $2", [
        `@${new URL(inside.url).host}/x?y#z`,
        model,
      ]);
      await relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'provider:*')");
      await waitFor(
        async () => {
          upstream.behave(
            answerOf(
              200,
              JSON.stringify({ choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }] }),
            ),
          );
          expect((await call(relay, model)).status).to.equal(200);
          return upstream.requests[0]!.head.includes("/d/%40");
        },
        { timeoutMs: 3_000, message: "the new name" },
      );
      const [line, ...headers] = upstream.requests[0]!.head.split("\r\n");
      expect(line).to.match(/^POST \/d\/%40127\.0\.0\.1%3A\d+%2Fx%3Fy%23z\/chat\?v=1 HTTP/);
      expect(headers.join("\n")).to.match(/^api-key: upstream-key$/im);
      expect(headers.join("\n")).to.not.match(/^authorization:/im);
      expect(inside.requests).to.have.length(0);
    } finally {
      await relay.close();
    }
  });
});
