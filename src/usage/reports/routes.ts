import { z } from "zod";
import type { CsvColumn } from "../../http/csv.ts";
import type { Exports } from "../../http/exports.ts";
import { ok, route, type Route } from "../../http/route.ts";
import { rangeOf } from "../stats/range.ts";
import type { StatsDeps } from "../stats/routes.ts";
import { savingHints, type HintDeps } from "./hints/index.ts";
import { monthForecast } from "./month.ts";
import { usagePatterns } from "./patterns.ts";
import { monthReport, type MonthReport } from "./report.ts";
import { forecastView, hintsView, patternsQuery, patternsView, reportExportQuery, reportQuery, reportView, zoneQuery } from "./schema.ts";

export interface ReportDeps extends StatsDeps, Omit<HintDeps, "db"> {
  exports: Exports;
}

const TAG = "Usage";
const PATTERN_DAYS = 30;

type Line = MonthReport["by_day"][number] & { section: string };
const LINE_COLUMNS: readonly CsvColumn<Line>[] = [
  { name: "section", plain: true, value: (line) => line.section },
  { name: "key", value: (line) => line.key },
  { name: "name", value: (line) => line.name },
  ...(
    [
      "requests",
      "failed",
      "input_tokens",
      "cached_input_tokens",
      "cache_write_tokens",
      "output_tokens",
      "reasoning_tokens",
      "cost",
      "share_percent",
    ] as const
  ).map((name) => ({ name, plain: true, value: (line: Line) => line[name] })),
];

/** The lines of a report: days, models and keys, and the month as a whole at the end. */
async function* linesOf(report: Promise<MonthReport>): AsyncGenerator<Line[]> {
  const { by_day, by_model, by_key, totals, month } = await report;
  const of = (section: string, groups: MonthReport["by_day"]) => groups.map((group) => ({ section, ...group }));
  yield [
    ...of("day", by_day),
    ...of("model", by_model),
    ...of("key", by_key),
    { section: "total", key: month, name: null, ...totals, share_percent: by_day.length > 0 ? "100.0" : null },
  ];
}

/** What a person's usage comes to, where it goes, and what could be saved. */
export function reportRoutes(deps: ReportDeps): Route[] {
  const { reportPool: db, reporting, exports, timeZoneOf, keyNames } = deps;
  const zoneFor = async (userId: string, asked: string | undefined) => asked ?? (await timeZoneOf(userId));
  const report = async (userId: string, query: { month?: string | undefined; time_zone?: string | undefined }) => {
    const ask = { month: query.month, timeZone: await zoneFor(userId, query.time_zone), now: new Date(), keyNames: await keyNames(userId) };
    return reporting.within(userId, () => monthReport(db, userId, ask));
  };

  return [
    route({
      method: "get",
      path: "/api/user/usage/report",
      summary: "A month in figures, beside the month before",
      tag: TAG,
      access: "user",
      query: reportQuery,
      responses: { 200: reportView },
      errors: ["rate_limited"],
      handler: async ({ principal, query }) => ok(await report(principal.userId, query)),
    }),
    route({
      method: "get",
      path: "/api/user/usage/report/export.csv",
      summary: "The days, models and keys of a month as CSV",
      tag: TAG,
      access: "user",
      query: reportExportQuery,
      produces: "text/csv",
      responses: { 200: z.string() },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId }, query: { bom, ...query } }) =>
        exports.csv({ userId, fileName: "report.csv", columns: LINE_COLUMNS, pages: linesOf(report(userId, query)), bom }),
    }),
    route({
      method: "get",
      path: "/api/user/usage/forecast",
      summary: "What this month will cost me",
      description:
        "What is spent, and for the rest of the month the usual day of each weekday in the last eight weeks. The range holds four of five months.",
      tag: TAG,
      access: "user",
      query: zoneQuery,
      responses: { 200: forecastView },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId }, query }) => {
        const zone = await zoneFor(userId, query.time_zone);
        return ok(await reporting.within(userId, () => monthForecast(db, userId, zone, new Date())));
      },
    }),
    route({
      method: "get",
      path: "/api/user/usage/hints",
      summary: "How I could spend less: amounts and reasons, from my last 30 days",
      tag: TAG,
      access: "user",
      responses: { 200: hintsView },
      errors: ["rate_limited"],
      handler: async ({ principal }) =>
        ok(await reporting.within(principal.userId, () => savingHints({ ...deps, db }, principal, new Date()))),
    }),
    route({
      method: "get",
      path: "/api/user/usage/patterns",
      summary: "When and how I use models: weekdays, hours, averages",
      tag: TAG,
      access: "user",
      query: patternsQuery,
      responses: { 200: patternsView },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId }, query: { time_zone, ...asked } }) => {
        const zone = await zoneFor(userId, time_zone);
        const range = rangeOf(asked, zone, new Date(), "hour", PATTERN_DAYS);
        return ok(await reporting.within(userId, () => usagePatterns(db, userId, range, zone)));
      },
    }),
  ];
}
