import { expect } from "chai";
import { startCollector, type Collector, type SeenSpan } from "../../support/collector.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { createTracing, type Tracing } from "../../../src/platform/tracing/index.ts";
import { startRelay, type Customer, type Relay } from "../gateway/harness.ts";
import { answerOf, DONE, startRawUpstream, STOP, streamOf, text, usage, type RawUpstream } from "../gateway/rawUpstream.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const SERVER = 2;
const CLIENT = 3;

describe("the trace of a relayed call", () => {
  const places = useStack();
  let collector: Collector;
  let tracing: Tracing;
  let relay: Relay;
  let first: RawUpstream;
  let second: RawUpstream;
  let ada: Customer;
  let model: string;

  before(async () => {
    collector = await startCollector();
    tracing = (await createTracing({
      endpoint: collector.url,
      headers: "x-collector-key=secret%20key",
      service: "tollkeeper-test",
      release: "0",
      sampler: "parentbased_traceidratio",
      ratio: 0,
    }))!;
    [first, second] = await Promise.all([startRawUpstream(), startRawUpstream()]);
    relay = await startRelay(places, {}, { tracing });
    ada = await relay.customer();
    model = await relay.model([first.url, second.url]);
  });
  after(async () => {
    await relay?.close();
    await tracing?.close();
    await first?.close();
    await second?.close();
    await collector?.close();
  });

  async function call(headers: Record<string, string>, named = model): Promise<Response> {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}`, ...headers },
      body: JSON.stringify({ model: named, messages: [{ role: "user", content: "hi" }], stream: true, max_tokens: 100 }),
    });
    await response.text();
    return response;
  }

  const traceOf = (traceId: string): SeenSpan[] => collector.spans.filter((span) => span.traceId === traceId);
  /** Waits until a trace has this many spans. */
  const whole = (traceId: string, spans: number): Promise<SeenSpan[]> =>
    waitFor(() => (traceOf(traceId).length >= spans ? traceOf(traceId) : undefined), {
      timeoutMs: 10_000,
      message: () => `${spans} spans; there are: ${traceOf(traceId).map(({ name }) => name)}`,
    });

  it("is one trace below the caller's: admission, hold, each attempt, record, charge, with the right parents", async () => {
    first.behave(answerOf(500, '{"error":{"message":"broken"}}'));
    second.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    const response = await call({ traceparent: `00-${TRACE}-${PARENT}-01` });
    expect(response.status).to.equal(200);
    await relay.settle();
    const spans = await whole(TRACE, 7);
    const one = (name: string): SeenSpan => {
      const found = spans.filter((span) => span.name === name);
      expect(found, name).to.have.length(1);
      return found[0]!;
    };
    const root = one("relay");
    expect([root.parentId, root.kind, root.service]).to.deep.equal([PARENT, SERVER, "tollkeeper-test"]);
    expect(root.facts).to.include({
      "http.route": "/v1/chat/completions",
      "http.response.status_code": 200,
      "gen_ai.request.model": model,
      "tollkeeper.request_id": response.headers.get("x-request-id"),
    });
    const attempts = spans.filter((span) => span.name === "upstream attempt").sort((a, b) => a.startMs - b.startMs);
    expect(
      attempts.map(({ facts, failed, kind }) => [facts["tollkeeper.attempt"], facts["http.response.status_code"], failed, kind]),
    ).to.deep.equal([
      [1, 500, true, CLIENT],
      [2, 200, false, CLIENT],
    ]);
    for (const step of [one("admission"), one("hold"), ...attempts, one("record"), one("settle")]) {
      expect(step.parentId, step.name).to.equal(root.spanId);
    }
    const steps = [one("admission"), one("hold"), ...attempts, one("record")];
    for (const [i, step] of steps.entries()) {
      expect(step.endMs, step.name).to.be.at.least(step.startMs);
      expect(step.startMs, step.name).to.be.within(root.startMs - 1, root.endMs + 1);
      if (i > 0) expect(step.startMs, step.name).to.be.at.least(steps[i - 1]!.startMs);
    }
    expect(one("settle").facts["tollkeeper.charged_credits"]).to.equal(0.6);
    expect(one("settle").facts["tollkeeper.call_id"]).to.equal(root.facts["tollkeeper.call_id"]);
    expect(spans).to.have.length(7);
    expect(collector.headers[0]!["x-collector-key"]).to.equal("secret key");
  });

  it("a call that failed has a failed trace, and no record", async () => {
    first.behave(answerOf(500, '{"error":{"message":"broken"}}'));
    second.behave(answerOf(500, '{"error":{"message":"broken"}}'));
    const traceId = TRACE.replace("4bf9", "aaaa");
    await call({ traceparent: `00-${traceId}-${PARENT}-01` });
    const spans = await whole(traceId, 5);
    const root = spans.find((span) => span.name === "relay")!;
    expect([root.failed, root.facts["error.type"]]).to.deep.equal([true, "upstream_5xx"]);
    expect(spans.map(({ name }) => name)).not.to.include("record");
  });

  it("a refused call has a trace that ends in its admission", async () => {
    const traceId = TRACE.replace("4bf9", "bbbb");
    await call({ traceparent: `00-${traceId}-${PARENT}-01` }, "no-such-model");
    const spans = await whole(traceId, 2);
    expect(spans.map(({ name }) => name).sort()).to.deep.equal(["admission", "relay"]);
    expect(spans.find(({ name }) => name === "relay")!.facts["error.type"]).to.equal("model_not_found");
  });

  it("a caller that does not sample is not traced, and neither is one without a trace while the ratio is 0", async () => {
    first.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    second.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    const quiet = TRACE.replace("4bf9", "cccc");
    const requestId = (await call({})).headers.get("x-request-id")!;
    await call({ traceparent: `00-${quiet}-${PARENT}-00` });
    await relay.settle();
    const loud = TRACE.replace("4bf9", "dddd");
    await call({ traceparent: `00-${loud}-${PARENT}-01` });
    await whole(loud, 5);
    expect(traceOf(quiet)).to.deep.equal([]);
    expect(collector.spans.some((span) => span.facts["tollkeeper.request_id"] === requestId)).to.equal(false);
  });

  it("without a trace of the caller's, the id of the request finds the trace", async () => {
    const own = (await createTracing({ endpoint: collector.url, service: "own", release: "0", sampler: "always_on", ratio: 0 }))!;
    const copy = await startRelay(places, {}, { tracing: own });
    try {
      const response = await fetch(`${copy.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer nobody" },
        body: "{}",
      });
      const traceId = response.headers.get("x-request-id")!.replaceAll("-", "");
      expect((await whole(traceId, 2)).map(({ service }) => service)).to.deep.equal(["own", "own"]);
      const chosen = await fetch(`${copy.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer nobody", "x-request-id": "01a1fe29-c331-7950-a747-ffee634078ef" },
        body: "{}",
      });
      expect(chosen.headers.get("x-request-id")).to.equal("01a1fe29-c331-7950-a747-ffee634078ef");
      const mine = await waitFor(
        () => collector.spans.find((span) => span.facts["tollkeeper.request_id"] === "01a1fe29-c331-7950-a747-ffee634078ef"),
        { timeoutMs: 10_000, message: "the second trace" },
      );
      expect(mine.traceId).not.to.equal("01a1fe29c3317950a747ffee634078ef");
    } finally {
      await copy.close();
      await own.close();
    }
  });

  it("a provider is told of the trace only when its configuration says so", async () => {
    const told = await relay.model([second.url], { config: { forward_trace: true } });
    const traceId = TRACE.replace("4bf9", "eeee");
    first.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    await call({ traceparent: `00-${traceId}-${PARENT}-01`, tracestate: "vendor=1", baggage: "user=1" });
    expect(first.requests[0]!.head).not.to.match(/traceparent|tracestate|baggage/i);
    second.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    await call({ traceparent: `00-${traceId}-${PARENT}-01` }, told);
    const root = (await whole(traceId, 10)).findLast(({ name }) => name === "relay")!;
    expect(second.requests[0]!.head).to.contain(`traceparent: 00-${traceId}-${root.spanId}-01`);
  });

  it("a collector that is away changes nothing for a caller", async () => {
    first.behave(streamOf(text("Hello"), STOP, usage(10, 5), DONE));
    collector.status = 500;
    try {
      expect((await call({ traceparent: `00-${TRACE.replace("4bf9", "ffff")}-${PARENT}-01` })).status).to.equal(200);
    } finally {
      collector.status = 200;
    }
  });
});
