import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { parse } from "yaml";
import { onPath } from "../../src/main/launcher/find.ts";
import { projectRoot } from "../../src/platform/root.ts";

/** Reads what deploy/ holds for Prometheus and Grafana. */

export interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; runbook: string };
}

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; legendFormat: string }[];
}

export interface Dashboard {
  file: string;
  uid: string;
  title: string;
  panels: Panel[];
}

export const prometheusFolder = path.join(projectRoot, "deploy/prometheus");
const dashboardsFolder = path.join(projectRoot, "deploy/grafana/dashboards");

export function alertRules(): Rule[] {
  const { groups } = parse(readFileSync(path.join(prometheusFolder, "alerts.yml"), "utf8")) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

export function dashboards(): Dashboard[] {
  return readdirSync(dashboardsFolder).map((file) => ({
    file,
    ...(JSON.parse(readFileSync(path.join(dashboardsFolder, file), "utf8")) as Omit<Dashboard, "file">),
  }));
}

/** Every expression of rules and dashboards, with where it stands. */
export function expressions(): { where: string; expr: string }[] {
  return [
    ...alertRules().map(({ alert, expr }) => ({ where: alert, expr })),
    ...dashboards().flatMap(({ file, panels }) =>
      panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: `${file}: ${title}`, expr }))),
    ),
  ];
}

const WORDS: ReadonlySet<string> = new Set(["and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset"]);

/** The names of metrics in a PromQL expression: words that are no functions, keywords, labels, durations or texts. */
export function metricsIn(expr: string): string[] {
  const bare = expr
    .replace(/\{[^}]*\}/g, " ")
    .replace(/\[[^\]]*\]/g, " ")
    .replace(/"[^"]*"/g, " ")
    .replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, " ");
  const words = bare.matchAll(/(?<![\w.])([a-zA-Z_:][\w:]*)(\s*\()?/g);
  return [...new Set([...words].filter(([, word, call]) => call === undefined && !WORDS.has(word!)).map(([, word]) => word!))];
}

/** The metrics that pages of metrics declare, histograms with their three series. */
export function declaredIn(...pages: string[]): Set<string> {
  const names = new Set<string>();
  for (const [, name, type] of pages.join("\n").matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    names.add(name!);
    if (type === "histogram" || type === "summary") for (const part of ["bucket", "sum", "count"]) names.add(`${name}_${part}`);
  }
  return names;
}

/** Prometheus' own checker, where it is installed: on PATH, or in this user's cache (docs/observability.md says how). */
export function findPromtool(): string | undefined {
  const cached = path.join(process.env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache"), "tollkeeper/bin/promtool");
  return onPath("promtool") ?? (existsSync(cached) ? cached : undefined);
}
