import { expect } from "chai";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { projectRoot } from "../../../src/platform/root.ts";
import { alertRules, dashboards, expressions, findPromtool, metricsIn, prometheusFolder } from "../../support/monitoring.ts";

const docs = readFileSync(path.join(projectRoot, "docs/observability.md"), "utf8");

describe("alert rules", () => {
  it("have a name of their own, an expression, a severity and a sentence for who is woken", () => {
    const rules = alertRules();
    expect(new Set(rules.map(({ alert }) => alert)).size).to.equal(rules.length);
    for (const { alert, expr, labels, annotations, for: duration } of rules) {
      expect(alert).to.match(/^[A-Z][A-Za-z]+$/);
      expect(metricsIn(expr), alert).to.have.length.greaterThan(0);
      expect(["critical", "warning"], alert).to.include(labels.severity);
      expect(annotations.summary, alert).to.match(/\S/);
      expect(annotations.runbook, alert).to.equal("docs/observability.md#alerts");
      if (duration !== undefined) expect(duration, alert).to.match(/^\d+[smh]$/);
    }
  });

  it("cover what must not stay unseen", () => {
    const names = alertRules().map(({ alert }) => alert);
    expect(names).to.include.members([
      "ProviderDown",
      "SettlementLag",
      "SettlementBacklog",
      "LedgerImbalance",
      "SettlementIncidents",
      "PaymentsFailing",
      "BruteForce",
      "RelayErrors",
      "LimiterStandby",
      "QueueBacklog",
    ]);
  });

  it("are explained in the documents, each with what to do, and no others are", () => {
    const section = docs.slice(docs.indexOf("## Alerts"));
    const explained = [...section.matchAll(/^\| `([A-Z]\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$/gm)];
    expect(explained.map(([, name]) => name).sort()).to.deep.equal(
      alertRules()
        .map(({ alert }) => alert)
        .sort(),
    );
    for (const { alert, labels } of alertRules()) expect(explained.find(([, name]) => name === alert)![2], alert).to.equal(labels.severity);
  });

  it("and the configuration are accepted by promtool, and its own tests of them pass; without promtool they are at least YAML", () => {
    const files = ["prometheus.yml", "alerts.yml", "alerts.test.yml"];
    for (const file of files) expect(parse(readFileSync(path.join(prometheusFolder, file), "utf8")), file).to.be.an("object");
    const promtool = findPromtool();
    if (promtool === undefined) return;
    for (const args of [
      ["check", "config", "prometheus.yml"],
      ["check", "rules", "alerts.yml"],
      ["test", "rules", "alerts.test.yml"],
    ]) {
      const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: prometheusFolder, encoding: "utf8" });
      expect(status, `promtool ${args.join(" ")}\n${stdout}${stderr}`).to.equal(0);
    }
  });
});

describe("dashboards", () => {
  it("are three, each with an id of its own, whose panels do not overlap and all ask something", () => {
    const all = dashboards();
    expect(all.map(({ file }) => file).sort()).to.deep.equal(["gateway.json", "money.json", "operations.json"]);
    expect(new Set(all.map(({ uid }) => uid)).size).to.equal(3);
    for (const { file, panels } of all) {
      expect(new Set(panels.map(({ id }) => id)).size, file).to.equal(panels.length);
      for (const [i, { type, title, targets, gridPos: a }] of panels.entries()) {
        if (type !== "row") expect(targets, `${file}: ${title}`).to.have.length.greaterThan(0);
        expect(a.x + a.w, `${file}: ${title}`).to.be.at.most(24);
        for (const { title: other, gridPos: b } of panels.slice(i + 1)) {
          const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
          expect(apart, `${file}: ${title} and ${other}`).to.equal(true);
        }
      }
    }
  });

  it("and rules have balanced expressions", () => {
    for (const { where, expr } of expressions()) {
      for (const [open, close] of ["()", "{}", "[]"])
        expect(expr.split(open!).length, `${where}: ${expr}`).to.equal(expr.split(close!).length);
    }
  });
});

describe("metrics in an expression", () => {
  it("are found among functions, labels and durations", () => {
    const expr = 'sum by (le, provider) (rate(a_bucket{state=~"x|y"}[$__rate_interval])) > 0.05 and max_over_time(b[1m]) == 1 or vector(0)';
    expect(metricsIn(expr)).to.deep.equal(["a_bucket", "b"]);
  });
});
