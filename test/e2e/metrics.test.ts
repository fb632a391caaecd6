import { expect } from "chai";
import { readFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../src/platform/root.ts";
import { readSamples, total, type Sample } from "../support/metrics.ts";
import { declaredIn, expressions, metricsIn } from "../support/monitoring.ts";
import { customer, operator, pricedModel, register, request } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

const page = async (url: string): Promise<string> => (await fetch(url)).text();
const read = async (url: string): Promise<Sample[]> => readSamples(await page(url));

/** Temporal shows these only after the first one. */
const ONCE_IT_HAPPENS: ReadonlySet<string> = new Set([
  "temporal_workflow_completed_total",
  "temporal_workflow_failed_total",
  "temporal_workflow_canceled_total",
  "temporal_activity_execution_failed_total",
]);

describe("/metrics of the running product", () => {
  it("the api has every named metric, with the labels operators were promised", async () => {
    const at = await product();
    const response = await fetch(`${at.api}/metrics`);
    expect(response.status).to.equal(200);
    expect(response.headers.get("content-type")).to.match(/^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    expect(text).to.contain("# TYPE proxy_requests_total counter");
    expect(text).to.contain("# TYPE upstream_latency_seconds histogram");
    const series = readSamples(text).map(({ name, labels }) => `${name}${JSON.stringify(labels)}`);
    expect(series).to.include.members([
      'proxy_requests_total{"status":"ok"}',
      'proxy_requests_total{"status":"error"}',
      'login_attempts_total{"result":"success"}',
      'login_attempts_total{"result":"failure"}',
      "quota_exceeded_total{}",
      "rate_limit_rejections_total{}",
      "upstream_latency_seconds_count{}",
    ]);
  });

  it("signing in is counted, right and wrong", async () => {
    const at = await product();
    const before = await read(at.metrics.api!);
    await operator(at);
    const wrong = await request(at.api, "POST", "/api/auth/login", { body: { identifier: "nobody-at-all", password: "wrong password" } });
    expect(wrong.status).to.equal(401);
    const after = await read(at.metrics.api!);
    for (const result of ["success", "failure"]) {
      expect(total(after, "login_attempts_total", { result }), result).to.be.greaterThan(total(before, "login_attempts_total", { result }));
    }
    expect(total(after, "tollkeeper_http_requests_total", { route: "/api/auth/login", method: "POST", status: "401" })).to.be.greaterThan(
      0,
    );
  });

  it("a call is followed from the api to its charge by the worker", async () => {
    const at = await product();
    const admin = await operator(at);
    const model = await pricedModel(admin, at.upstream);
    const grace = await customer(at, admin, { credits: "1000" });
    const answer = await fetch(`${at.api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${grace.key}` },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
    });
    expect(answer.status).to.equal(200);
    await answer.text();
    const settled = await waitFor(
      async () => {
        const samples = await read(at.metrics.worker!);
        return total(samples, "tollkeeper_settled_total", { model }) === 1 ? samples : undefined;
      },
      { timeoutMs: 30_000, message: "the worker to count the charge" },
    );
    expect(total(settled, "tollkeeper_charged_credits_total", { model })).to.be.greaterThan(0);
    expect(total(settled, "tollkeeper_settlement_lag_seconds_count")).to.be.greaterThan(0);
    expect(total(settled, "tollkeeper_ledger_imbalance_credits")).to.equal(0);
    expect(settled.map((sample) => sample.name)).to.include.members([
      "tollkeeper_settlement_backlog",
      "tollkeeper_settlement_oldest_seconds",
      "tollkeeper_payment_callbacks_waiting",
      "nodejs_eventloop_lag_p99_seconds",
    ]);
    const queue = settled.filter((sample) => sample.name === "tollkeeper_queue_jobs");
    expect(queue.map((sample) => sample.labels["state"])).to.include.members(["waiting", "active", "delayed", "failed"]);
  });

  it("a top-up is counted from the order through its notice to the money", async () => {
    const at = await product();
    const ada = await register(at);
    const [api, worker] = await Promise.all([read(at.metrics.api!), read(at.metrics.worker!)]);
    const order = await ada.post<{ order_no: string }>("/api/topup/orders", {
      amount: "50.00",
      currency: "CNY",
      method: "epay",
      channel: "alipay",
    });
    const paid = await fetch(`${at.sandbox}/orders/${order.order_no}/pay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ mode: "ok" }),
    });
    expect(paid.status).to.equal(200);
    const grown = async (url: string, before: Sample[], name: string, labels: Record<string, string>): Promise<number> =>
      total(await read(url), name, labels) - total(before, name, labels);
    const method = { provider: "epay", method: "alipay" };
    await waitFor(
      async () => (await grown(at.metrics.worker!, worker, "tollkeeper_topup_orders_total", { ...method, status: "completed" })) >= 1,
      {
        timeoutMs: 30_000,
        message: "the completed order to be counted",
      },
    );
    expect(await grown(at.metrics.worker!, worker, "tollkeeper_topup_amount_total", { ...method, currency: "CNY" })).to.be.at.least(50);
    expect(await grown(at.metrics.api!, api, "tollkeeper_topup_orders_total", { ...method, status: "pending" })).to.be.at.least(1);
    expect(await grown(at.metrics.api!, api, "tollkeeper_payment_callbacks_total", { provider: "epay", verdict: "taken" })).to.be.at.least(
      1,
    );
    const forged = await fetch(`${at.api}/api/payments/epay/notify?out_trade_no=${order.order_no}&sign=forged`);
    expect(forged.status).to.equal(400);
    expect(await grown(at.metrics.api!, api, "tollkeeper_payment_callbacks_total", { provider: "epay" })).to.be.at.least(2);
  });

  it("workflows are counted: what was asked for by the api, what came of it by Temporal's own metrics", async () => {
    const at = await product();
    await register(at);
    const api = await read(at.metrics.api!);
    expect(total(api, "tollkeeper_workflow_starts_total", { type: "registrationVerification", result: "ok" })).to.be.greaterThan(0);
    await waitFor(
      async () =>
        total(await read(at.metrics.worker!), "temporal_workflow_completed_total", { workflow_type: "registrationVerification" }) > 0,
      { timeoutMs: 30_000, message: "Temporal to count the registration" },
    );
  });

  it("every metric of alert rules and dashboards is there", async () => {
    const at = await product();
    const [api, worker] = await Promise.all([page(at.metrics.api!), page(at.metrics.worker!)]);
    const known = declaredIn(api, worker);
    const unknown = expressions().flatMap(({ where, expr }) =>
      metricsIn(expr)
        .filter((name) => name !== "up" && !ONCE_IT_HAPPENS.has(name) && !known.has(name))
        .map((name) => `${where}: ${name}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it("every metric of ours is in the documents, and every one there is real", async () => {
    const at = await product();
    const [api, worker] = await Promise.all([page(at.metrics.api!), page(at.metrics.worker!)]);
    const docs = readFileSync(path.join(projectRoot, "docs/observability.md"), "utf8");
    const told = new Set(
      [...docs.matchAll(/`((?:tollkeeper|temporal|nodejs|process|proxy|login|quota|rate|upstream)_[a-z0-9_]+)`/g)].map(([, name]) => name!),
    );
    const own = [...declaredIn(api, worker)].filter((name) => !/^(temporal|process|nodejs)_|_(bucket|sum|count)$/.test(name));
    expect(own.filter((name) => !told.has(name))).to.deep.equal([]);
    const known = declaredIn(api, worker);
    expect([...told].filter((name) => !known.has(name) && !ONCE_IT_HAPPENS.has(name))).to.deep.equal([]);
  });
});
