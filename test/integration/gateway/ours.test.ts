import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { billOf } from "./bill.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { answerOf, completion, hang, type Behaviour, type RawUpstream, startRawUpstream } from "./rawUpstream.ts";

/** Deeper than what can be written as JSON, and no trouble to parse. */
const DEEP = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
const good = answerOf(200, completion(1_500, 800));

describe("an exception on our side", () => {
  const places = useStack();
  let relay: Relay;
  let first: RawUpstream;
  let second: RawUpstream;
  let ada: Customer;
  let stray: unknown[];
  const note = (error: unknown): void => void stray.push(error);

  before(async () => {
    [first, second] = await Promise.all([startRawUpstream(), startRawUpstream()]);
    relay = await startRelay(places);
  });
  beforeEach(async () => {
    ada = await relay.customer();
    stray = [];
    process.prependListener("uncaughtException", note);
  });
  afterEach(() => {
    process.off("uncaughtException", note);
    expect(stray).to.deep.equal([]);
  });
  after(async () => {
    await relay?.close();
    await Promise.all([first?.close(), second?.close()]);
  });

  const model = (apiFormat: "openai" | "claude"): Promise<string> =>
    relay.model([first.url, second.url], { timeouts: { whole_ms: 300 }, providers: [{ apiFormat: "openai" }, { apiFormat }] });

  async function call(name: string, more: object[] = [], customer = ada): Promise<{ status: number; text: string }> {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${customer.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: name, messages: [{ role: "user", content: "Hi" }, ...more], max_tokens: 900 }),
      signal: AbortSignal.timeout(5_000),
    });
    return { status: response.status, text: await response.text() };
  }

  for (const [what, fault] of [
    ["does not answer", hang],
    ["answers 500", answerOf(500, "oops")],
  ] as [string, Behaviour][]) {
    it(`a call that the next provider cannot be written ends in an error when the first one ${what}`, async () => {
      const name = await model("claude");
      first.behave(fault);
      second.behave(good);
      const calls = [{ id: "call_1", type: "function", function: { name: "f", arguments: DEEP } }];
      const history = [
        { role: "assistant", content: null, tool_calls: calls },
        { role: "tool", tool_call_id: "call_1", content: "1" },
      ];
      const rich = await relay.customer({ credits: "100000" });
      const { status } = await call(name, history, rich);
      expect(status).to.be.oneOf([400, 502, 504]);
      expect(second.requests).to.have.length(0);
      await waitFor(async () => (await relay.balance(rich)).held === "0", { timeoutMs: 3_000, message: "nothing held" });
      expect(await relay.balance(rich)).to.include({ total: "100000000000" });
      expect(relay.gateway.live).to.equal(0);
    });
  }

  it("while another provider is chosen ends that call alone", async () => {
    const name = await model("openai");
    first.behave(hang);
    second.behave(good);
    const { routing } = relay.gateway as unknown as { routing: { choose(ask: { tries: unknown[] }, nowMs: number): unknown } };
    const { choose } = routing;
    let other: Promise<{ status: number }> | undefined;
    routing.choose = (ask, nowMs) => {
      if (ask.tries.length === 0) return choose(ask, nowMs);
      routing.choose = choose;
      other = call(name);
      throw new Error("a mistake of ours");
    };
    expect((await call(name)).status).to.equal(500);
    expect(await other).to.include({ status: 200 });
    expect(await billOf(relay, ada)).to.include({ charged: 93_000_000n });
  });

  it("while the clock looks at a call ends that call alone", async () => {
    const name = await model("openai");
    first.behave(hang);
    second.behave(good);
    const { routing } = relay.gateway as unknown as { routing: { failed(...about: unknown[]): void } };
    const { failed } = routing;
    routing.failed = () => {
      routing.failed = failed;
      throw new Error("a mistake of ours");
    };
    const [one, two] = await Promise.all([call(name), call(name)]);
    expect([one.status, two.status].sort()).to.deep.equal([200, 500]);
    expect(await billOf(relay, ada)).to.include({ charged: 93_000_000n });
  });

  it("while a call is ended leaves nothing held", async () => {
    const name = await model("openai");
    first.behave(answerOf(500, "oops"));
    second.behave(answerOf(500, "oops"));
    const usage = relay.usage as { recordFailure(...about: unknown[]): void };
    const { recordFailure } = usage;
    usage.recordFailure = () => {
      usage.recordFailure = recordFailure;
      throw new Error("a mistake of ours");
    };
    const broken = await call(name).catch((error: unknown) => error);
    expect(broken).to.be.instanceOf(Error);
    await waitFor(async () => (await relay.balance(ada)).held === "0", { timeoutMs: 3_000, message: "nothing held" });
    expect(await relay.balance(ada)).to.include({ total: "1000000000" });
  });

  it("while a provider's answer is read ends that call, which is free", async () => {
    const name = await model("openai");
    const { routing } = relay.gateway as unknown as { routing: { failed(...about: unknown[]): void } };
    const { failed } = routing;
    first.behave((socket, request) => {
      routing.failed = () => {
        routing.failed = failed;
        throw new Error("a mistake of ours");
      };
      return answerOf(500, "oops")(socket, request);
    });
    expect((await call(name)).status).to.equal(500);
    expect(await billOf(relay, ada)).to.include({ charged: 0n, status: "failed" });
  });
});
