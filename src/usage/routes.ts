import type { Sequelize } from "sequelize";
import { z } from "zod";
import { recordAudit } from "../admin/audit.ts";
import { ok, route, type Route } from "../http/route.ts";
import type { Ledger } from "../ledger/index.ts";
import { appError } from "../platform/errors.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { createUsagePages, OPERATOR_COLUMNS, USER_COLUMNS } from "./export.ts";
import { keySpending, type KeyLimits } from "./keySpending.ts";
import { createUsageLists } from "./lists.ts";
import { marginRoutes } from "./marginRoutes.ts";
import { listIncidents, retrySetAside } from "./operators.ts";
import type { Rates } from "./rates.ts";
import {
  adminExportQuery,
  adminQuery,
  adminUsagePage,
  idParams,
  incidentPage,
  incidentQuery,
  keyQuery,
  keyUsage,
  usageDetail,
  usagePage,
  userExportQuery,
  userQuery,
} from "./schema.ts";
import { reportRoutes, type ReportDeps } from "./reports/routes.ts";
import { statsRoutes } from "./stats/routes.ts";
import { operatorView, userView } from "./views.ts";

export interface UsageRouteDeps extends ReportDeps {
  sequelize: Sequelize;
  pool: Pool;
  ledger: Pick<Ledger, "spending" | "balance" | "heldFor">;
  /** The limits of a key (also a revoked one), or undefined when it is not this user's. */
  keyLimits: (userId: string, keyId: string) => Promise<KeyLimits | undefined>;
  /** For margins of providers that bill in money. */
  rates: Rates;
}

const EXPORT_NOTE =
  "The filters of the list, any number of calls, sent as fast as it is read. Amounts are decimal text in credits. Texts that a spreadsheet " +
  "would take for a formula begin with a quotation mark. Two exports a person may run at once.";

/** Lists of calls for people and operators, and what operators do about calls that could not be settled. */
export function usageRoutes(deps: UsageRouteDeps): Route[] {
  const { sequelize, pool, exports, ledger, keyLimits, rates } = deps;
  const lists = createUsageLists(sequelize);
  const pages = createUsagePages(sequelize);
  return [
    ...statsRoutes(deps),
    ...reportRoutes(deps),
    route({
      method: "get",
      path: "/api/user/usage",
      summary: "My calls, newest first",
      tag: "Usage",
      access: "user",
      query: userQuery,
      responses: { 200: usagePage },
      handler: async ({ principal, query: { page, page_size, ...filter } }) =>
        ok(await lists.ofUser(principal.userId, filter, { page, page_size })),
    }),
    route({
      method: "get",
      path: "/api/user/usage/export.csv",
      summary: "My calls as CSV, oldest first",
      description: EXPORT_NOTE,
      tag: "Usage",
      access: "user",
      query: userExportQuery,
      produces: "text/csv",
      responses: { 200: z.string() },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId }, query: { bom, ...filter } }) =>
        exports.csv({
          userId,
          fileName: "usage.csv",
          columns: USER_COLUMNS,
          pages: pages({ ...filter, user: userId }, userView),
          bom,
        }),
    }),
    route({
      method: "get",
      path: "/api/user/keys/:id/usage",
      summary: "What a key used: totals and days (UTC), today and this month (own time zone), and what its spend limits leave",
      tag: "Usage",
      access: "user",
      params: idParams,
      query: keyQuery,
      responses: { 200: keyUsage },
      handler: async ({ principal, params, query }) => {
        const limits = await keyLimits(principal.userId, params.id);
        if (!limits) throw appError("not_found", { message: "There is no such key" });
        const ids = { userId: principal.userId, keyId: params.id };
        return ok({ ...(await lists.ofKey(params.id, query)), ...(await keySpending({ pool, ledger }, ids, limits, new Date())) });
      },
    }),
    route({
      method: "get",
      path: "/api/admin/usage",
      summary: "Everybody's calls, newest first",
      tag: "Operators",
      access: "operator",
      query: adminQuery,
      responses: { 200: adminUsagePage },
      handler: async ({ query: { page, page_size, ...filter } }) => ok(await lists.ofEverybody(filter, { page, page_size })),
    }),
    route({
      method: "get",
      path: "/api/admin/usage/export.csv",
      summary: "Everybody's calls as CSV, oldest first",
      description: EXPORT_NOTE,
      tag: "Operators",
      access: "operator",
      query: adminExportQuery,
      produces: "text/csv",
      responses: { 200: z.string() },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId }, query: { bom, ...filter } }) =>
        exports.csv({ userId, fileName: "usage.csv", columns: OPERATOR_COLUMNS, pages: pages(filter, operatorView), bom }),
    }),
    route({
      method: "get",
      path: "/api/admin/usage/:id",
      summary: "One call with its attempts at providers, their cost, and the margin",
      tag: "Operators",
      access: "operator",
      params: idParams,
      responses: { 200: usageDetail },
      handler: async ({ params }) => {
        const found = await lists.one(params.id, rates);
        if (!found) throw appError("not_found", { message: "There is no such call" });
        return ok(found);
      },
    }),
    ...marginRoutes(deps),
    route({
      method: "get",
      path: "/api/admin/usage/incidents",
      summary: "Calls that could not be settled or counted as they should",
      tag: "Operators",
      access: "operator",
      query: incidentQuery,
      responses: { 200: incidentPage },
      handler: async ({ query: { page, page_size, ...filter } }) => ok(await listIncidents(pool, filter, { page, page_size })),
    }),
    route({
      method: "post",
      path: "/api/admin/usage/:id/retry",
      summary: "Settle a call again that was set aside",
      tag: "Operators",
      access: "operator",
      params: idParams,
      responses: { 200: z.object({ id: z.string() }) },
      handler: async ({ params, principal, traceId }) => {
        await inTransaction(pool, async (tx) => {
          if (!(await retrySetAside(tx, params.id))) throw appError("not_found", { message: "No call with this id is set aside" });
          await recordAudit(tx, { actorId: principal.userId, action: "usage.retry", target: `usage:${params.id}`, details: {}, traceId });
        });
        return ok({ id: params.id });
      },
    }),
  ];
}
