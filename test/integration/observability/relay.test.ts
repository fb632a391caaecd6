import { expect } from "chai";
import { readSamples, total, type Sample } from "../../support/metrics.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "../gateway/harness.ts";
import { answerOf, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "../gateway/rawUpstream.ts";

describe("what relayed calls are counted as", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: RawUpstream;
  let model: string;

  before(async () => {
    upstream = await startRawUpstream();
    relay = await startRelay(places);
    model = await relay.model([upstream.url]);
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  const samples = async (): Promise<Sample[]> => readSamples(await relay.metrics.text());

  async function call(who: Customer, more: object = {}, at: Relay = relay): Promise<number> {
    const response = await fetch(`${at.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${who.key}` },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], stream: true, max_tokens: 100, ...more }),
    });
    await response.text();
    return response.status;
  }

  /** What a metric grew by while `work` ran; waits until the call has ended on our side too. */
  async function growth(work: () => Promise<unknown>, name: string, labels: Record<string, string> = {}): Promise<number> {
    const before = total(await samples(), name, labels);
    await work();
    await waitFor(() => relay.gateway.live === 0, { timeoutMs: 5_000, message: "the call to end" });
    return total(await samples(), name, labels) - before;
  }

  it("a call that succeeds is ok, with its model, tokens, attempt and latency", async () => {
    upstream.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    const ada = await relay.customer();
    const before = await samples();
    expect(await call(ada)).to.equal(200);
    await waitFor(() => relay.gateway.live === 0, { timeoutMs: 5_000, message: "the call to end" });
    const after = await samples();
    const grown = (name: string, labels: Record<string, string> = {}) => total(after, name, labels) - total(before, name, labels);
    expect(grown("proxy_requests_total", { status: "ok" })).to.equal(1);
    expect(grown("proxy_requests_total", { status: "error" })).to.equal(0);
    expect(grown("tollkeeper_relay_calls_total", { route: "/v1/chat/completions", outcome: "ok" })).to.equal(1);
    expect(grown("tollkeeper_relay_model_calls_total", { model, outcome: "ok" })).to.equal(1);
    expect(grown("tollkeeper_tokens_total", { model, kind: "input" })).to.equal(10);
    expect(grown("tollkeeper_tokens_total", { model, kind: "output" })).to.equal(5);
    expect(grown("tollkeeper_upstream_attempts_total", { outcome: "ok" })).to.equal(1);
    expect(grown("upstream_latency_seconds_count")).to.equal(1);
    expect(grown("upstream_latency_seconds_bucket", { le: "+Inf" })).to.equal(1);
    expect(grown("tollkeeper_relay_admission_seconds_count")).to.equal(1);
    expect(grown("tollkeeper_relay_call_seconds_count", { answer: "stream" })).to.equal(1);
    expect(grown("tollkeeper_holds_opened_total")).to.equal(1);
    expect(grown("tollkeeper_ledger_batch_items_sum", { operation: "authorize" })).to.equal(1);
    expect(grown("tollkeeper_usage_batch_items_sum")).to.equal(1);
  });

  it("a provider's error is an error, by class and provider, and its hold is given back", async () => {
    upstream.behave(answerOf(500, '{"error":{"message":"broken"}}'));
    const ada = await relay.customer();
    expect(await growth(() => call(ada), "proxy_requests_total", { status: "error" })).to.equal(1);
    expect(await growth(() => call(ada), "tollkeeper_relay_failures_total", { class: "server" })).to.equal(1);
    expect(await growth(() => call(ada), "tollkeeper_upstream_errors_total", { class: "server" })).to.equal(1);
    expect(await growth(() => call(ada), "tollkeeper_holds_released_total")).to.equal(1);
  });

  it("a wallet that is empty is a quota that is exceeded", async () => {
    const poor = await relay.customer({ credits: "0" });
    expect(await growth(() => call(poor), "quota_exceeded_total")).to.equal(1);
    expect(await growth(() => call(poor), "tollkeeper_relay_refusals_total", { code: "insufficient_balance" })).to.equal(1);
    expect(await growth(() => call(poor), "tollkeeper_holds_refused_total", { reason: "insufficient_balance" })).to.equal(1);
  });

  it("a refusal by a limit is a rejection, by whose limit and which", async () => {
    upstream.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    const ada = await relay.customer({ userLimits: { requests_per_minute: 1, max_parallel: 10 } });
    expect(await growth(() => call(ada), "rate_limit_rejections_total")).to.equal(0);
    expect(await growth(() => call(ada), "rate_limit_rejections_total")).to.equal(1);
    expect(await growth(() => call(ada), "tollkeeper_limiter_refusals_total", { scope: "user", kind: "requests" })).to.equal(1);
    expect(await growth(() => call(ada), "proxy_requests_total", { status: "error" })).to.equal(1);
  });

  it("an unknown key and an unknown model are errors; what a caller writes never becomes a label", async () => {
    const ada = await relay.customer();
    const nobody = { ...ada, key: "sk-tk-nobody" };
    expect(await growth(() => call(nobody), "tollkeeper_relay_refusals_total", { code: "unauthenticated" })).to.equal(1);
    expect(await growth(() => call(ada, { model: "made-up-by-the-caller" }), "proxy_requests_total", { status: "error" })).to.equal(1);
    const labels = (await samples()).flatMap((sample) => Object.values(sample.labels));
    expect(labels).not.to.include("made-up-by-the-caller");
    expect(labels.filter((value) => [ada.userId, ada.keyId, ada.key].includes(value))).to.deep.equal([]);
  });

  it("a provider that cannot be reached again and again is shown as open, with what it last took to answer", async () => {
    const own = await startRelay(places, { CIRCUIT_BREAKER: "true", CIRCUIT_MIN_CALLS: "3" });
    try {
      const ada = await own.customer();
      const other = await own.model([upstream.url]);
      const ask = (): Promise<number> => call(ada, { model: other }, own);
      upstream.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
      expect(await ask()).to.equal(200);
      upstream.behave((socket) => void socket.destroy());
      for (let n = 0; n < 5; n++) await ask();
      const broken = (await own.gateway.providers()).find((provider) => provider.state === "open");
      expect(broken?.latencyMs).to.be.a("number");
      const states = readSamples(await own.metrics.text()).filter((sample) => sample.name === "tollkeeper_provider_state");
      const shown = states.filter(({ labels, value }) => labels["provider"] === broken!.name && value === 1);
      expect(shown.map(({ labels }) => labels["state"])).to.deep.equal(["open"]);
    } finally {
      await own.close();
    }
  });
});
