import { z } from "zod";
import { columnsOf } from "../http/csv.ts";
import type { Exports } from "../http/exports.ts";
import { ok, route, type Route } from "../http/route.ts";
import type { Pool } from "../platform/postgres.ts";
import { margins, type MarginQuery } from "./margin.ts";
import type { Rates } from "./rates.ts";
import { marginExportQuery, marginQuery, marginView } from "./schema.ts";

type Line = Omit<Awaited<ReturnType<typeof margins>>["items"][number], "costs"> & { costs: string };

const COLUMNS = columnsOf<Line>(
  [
    "key",
    "name",
    "requests",
    "attempts",
    "failed_attempts",
    "unpriced_attempts",
    "sale",
    "uncharged",
    "costs",
    "cost_in_credits",
    "margin",
    "margin_percent",
  ],
  ["key", "name"],
);
const NOTE = "What attempts cost beside what calls were sold for. Without `from` the last 30 days.";

/** What calls cost upstream beside what was charged for them. */
export function marginRoutes({ reportPool, exports, rates }: { reportPool: Pool; exports: Exports; rates: Rates }): Route[] {
  async function* lines(query: MarginQuery): AsyncGenerator<Line[]> {
    const { items } = await margins(reportPool, query, rates);
    yield items.map((item) => ({ ...item, costs: item.costs.map(({ amount, currency }) => `${amount} ${currency}`).join("; ") }));
  }
  const marginRoute = (path: string, alias?: true) =>
    route({
      method: "get",
      path,
      summary: "Sale, cost and margin by model, provider or day (UTC)",
      description: NOTE,
      tag: "Operators",
      access: "operator",
      ...(alias ? { alias } : {}),
      query: marginQuery,
      responses: { 200: marginView },
      handler: async ({ query }) => ok(await margins(reportPool, query, rates)),
    });
  return [
    marginRoute("/api/admin/margin"),
    marginRoute("/api/admin/usage/margin", true),
    route({
      method: "get",
      path: "/api/admin/margin/export.csv",
      summary: "The same as CSV",
      description: NOTE,
      tag: "Operators",
      access: "operator",
      query: marginExportQuery,
      produces: "text/csv",
      responses: { 200: z.string() },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId }, query: { bom, ...query } }) =>
        exports.csv({ userId, fileName: "margin.csv", columns: COLUMNS, pages: lines(query), bom }),
    }),
  ];
}
