import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { useStack } from "../../support/stack.ts";
import { startRelay, type Relay } from "./harness.ts";
import { DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "./rawUpstream.ts";

describe("a caller who owes", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;

  before(async () => {
    upstream = await startRawUpstream();
    upstream.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    relay = await startRelay(places);
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  it("is refused before any provider is asked, told how much, and served again once it is paid", async () => {
    const model = await relay.model([upstream.url]);
    const { key, walletId } = await relay.customer({ credits: "10" });
    const id = uuidv7();
    await inTransaction(relay.pool, (tx) =>
      relay.ledger.settle(tx, [
        { id, holdId: null, walletId, cost: 53_000_000n, to: "revenue:usage", type: "CONSUMPTION", description: "reported", reference: id },
      ]),
    );
    const call = async (path: string) => {
      const response = await fetch(relay.url + path, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
        body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], stream: true, max_tokens: 10 }),
      });
      const answer = await response.text();
      return { status: response.status, error: answer.startsWith("{") ? JSON.parse(answer).error : undefined };
    };
    const asked = upstream.requests.length;
    const openai = await call("/v1/chat/completions");
    expect([openai.status, openai.error.code, openai.error.details]).to.deep.equal([402, "insufficient_balance", { shortfall: "43" }]);
    const anthropic = await call("/v1/messages");
    expect([anthropic.status, anthropic.error.details]).to.deep.equal([402, { error_code: "insufficient_balance", shortfall: "43" }]);
    expect(upstream.requests.length).to.equal(asked);

    await relay.ledger.credit(relay.pool, {
      id: uuidv7(),
      walletId,
      amount: 100_000_000n,
      from: "clearing:test",
      source: "purchase",
      type: "PURCHASE",
      description: "top-up",
    });
    expect((await call("/v1/chat/completions")).status).to.equal(200);
  });
});
