import { expect } from "chai";
import { startCollector, type Collector, type SeenSpan } from "../support/collector.ts";
import { customer, operator, pricedModel } from "../support/people.ts";
import { startTracker, type Tracker } from "../support/reports.ts";
import { ownProduct, waitFor, type Product } from "../support/stack.ts";

const PARENT = "00f067aa0ba902b7";
const traceparent = (traceId: string): string => `00-${traceId}-${PARENT}-01`;

describe("traces and error reports of the running product", () => {
  let collector: Collector;
  let tracker: Tracker;
  let at: Product;

  before(async () => {
    [collector, tracker] = await Promise.all([startCollector(), startTracker()]);
    at = await ownProduct({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER_ARG: "0", SENTRY_DSN: tracker.dsn },
    });
  });
  after(async () => {
    await at?.stack.stop();
    await collector?.close();
    await tracker?.close();
  });

  /** Waits for a span of a trace. */
  const span = (traceId: string, name: string | RegExp): Promise<SeenSpan> =>
    waitFor(
      () => collector.spans.find((one) => one.traceId === traceId && (typeof name === "string" ? one.name === name : name.test(one.name))),
      {
        timeoutMs: 20_000,
        message: () => `${name} among ${collector.spans.filter((one) => one.traceId === traceId).map((one) => one.name)}`,
      },
    );

  it("a call is one trace from the caller through the api to its charge by the worker", async () => {
    const admin = await operator(at);
    const model = await pricedModel(admin, at.upstream);
    const grace = await customer(at, admin, { credits: "1000" });
    const traceId = "11111111111111111111111111111111";
    const response = await fetch(`${at.api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${grace.key}`, traceparent: traceparent(traceId) },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
    });
    expect(response.status).to.equal(200);
    await response.text();
    const relay = await span(traceId, "relay");
    const settle = await span(traceId, "settle");
    expect([relay.parentId, relay.service]).to.deep.equal([PARENT, "tollkeeper-api"]);
    expect([settle.parentId, settle.service]).to.deep.equal([relay.spanId, "tollkeeper-worker"]);
    expect(settle.startMs).to.be.greaterThan(relay.startMs);
  });

  it("an order is one trace from HTTP through Temporal and the worker's activities to Postgres", async () => {
    const admin = await operator(at);
    const grace = await customer(at, admin);
    const traceId = "22222222222222222222222222222222";
    const answer = await grace.call<{ order_no: string }>(
      "POST",
      "/api/topup/orders",
      { amount: "50.00", currency: "CNY", method: "epay" },
      { traceparent: traceparent(traceId) },
    );
    expect(answer.status).to.equal(201);
    const root = await span(traceId, "POST /api/topup/orders");
    expect([root.parentId, root.service]).to.deep.equal([PARENT, "tollkeeper-api"]);
    expect(root.facts).to.include({ "http.response.status_code": 201, "http.route": "/api/topup/orders" });
    const insert = await span(traceId, "postgres transaction");
    expect([insert.parentId, insert.service]).to.deep.equal([root.spanId, "tollkeeper-api"]);
    const asked = await span(traceId, "temporal updateWithStart topUp");
    expect([asked.parentId, asked.service]).to.deep.equal([root.spanId, "tollkeeper-api"]);
    const activity = await span(traceId, "activity createPayment");
    expect([activity.parentId, activity.service]).to.deep.equal([asked.spanId, "tollkeeper-worker"]);
    expect(activity.facts["tollkeeper.workflow_id"]).to.equal(`topup-${answer.body.data.order_no}`);
    const statement = await waitFor(
      () => collector.spans.find(({ parentId, name }) => parentId === activity.spanId && name.startsWith("postgres ")),
      { timeoutMs: 20_000, message: "what the activity asked of Postgres" },
    );
    expect([statement.traceId, statement.service]).to.deep.equal([traceId, "tollkeeper-worker"]);
    expect(statement.facts["db.system.name"]).to.equal("postgresql");
  });

  it("what is not asked for is not traced", async () => {
    expect(new Set(collector.spans.map(({ traceId }) => traceId))).to.have.all.keys("1".repeat(32), "2".repeat(32));
  });

  it("what a person must look at is reported: a forged payment notice", async () => {
    const answer = await fetch(
      `${at.api}/api/payments/epay/notify?out_trade_no=TK1&trade_status=TRADE_SUCCESS&sign=0123456789abcdef&sign_type=MD5`,
    );
    expect(answer.status).to.equal(400);
    const report = await waitFor(() => tracker.reports.find(({ tags }) => tags["kind"]?.startsWith("callback_")), {
      timeoutMs: 10_000,
      message: "the report",
    });
    expect(report.tags).to.include({ service: "api", provider: "epay" });
    expect(tracker.raw).not.to.contain("0123456789abcdef");
  });
});
