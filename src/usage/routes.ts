import type { Sequelize } from "sequelize";
import { z } from "zod";
import { recordAudit } from "../admin/audit.ts";
import { ok, route, type Route } from "../http/route.ts";
import { appError } from "../platform/errors.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { createUsageLists } from "./lists.ts";
import { listIncidents, retrySetAside } from "./operators.ts";
import { adminQuery, adminUsagePage, incidentPage, incidentQuery, keyParams, keyQuery, keyUsage, usagePage, userQuery } from "./schema.ts";

export interface UsageRouteDeps {
  sequelize: Sequelize;
  pool: Pool;
  /** Whether a key (also a revoked one) is this user's. */
  ownsKey: (userId: string, keyId: string) => Promise<boolean>;
}

/** Lists of calls for people and operators, and what operators do about calls that could not be settled. */
export function usageRoutes({ sequelize, pool, ownsKey }: UsageRouteDeps): Route[] {
  const lists = createUsageLists(sequelize);
  return [
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
      path: "/api/user/keys/:id/usage",
      summary: "What a key used: totals and days (UTC)",
      tag: "Usage",
      access: "user",
      params: keyParams,
      query: keyQuery,
      responses: { 200: keyUsage },
      handler: async ({ principal, params, query }) => {
        if (!(await ownsKey(principal.userId, params.id))) throw appError("not_found", { message: "There is no such key" });
        return ok(await lists.ofKey(params.id, query));
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
      params: keyParams,
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
