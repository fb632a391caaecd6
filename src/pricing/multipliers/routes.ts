import { created, ok, route, type Route } from "../../http/route.ts";
import { pageOf } from "../../http/schemas.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { createMultiplierAdmin, presentRule } from "./admin.ts";
import { findRule, listRules, ruleHistory } from "./repository.ts";
import { newRule, ruleChange, ruleParams, rulesQuery, ruleView } from "./schema.ts";

const TAG = "Models and prices";
const NOTE =
  "A call's price is multiplied by every active multiplier whose conditions all hold when it begins: tier, group of keys, model, time of " +
  "day. What is not named holds always. The product is exact; the cost is rounded once.";

const offsetOf = (query: { page: number; page_size: number }) => ({ limit: query.page_size, offset: (query.page - 1) * query.page_size });

/** Operators' routes of price multipliers. */
export function multiplierRoutes(deps: { pool: Pool; tierExists: (name: string) => Promise<boolean>; changed: () => void }): Route[] {
  const { pool } = deps;
  const admin = createMultiplierAdmin(deps);
  const noRule = () => appError("not_found", { message: "There is no such multiplier" });

  return [
    route({
      method: "get",
      path: "/api/admin/multipliers",
      summary: "Price multipliers, the newest first",
      tag: TAG,
      access: "operator",
      query: rulesQuery,
      responses: { 200: pageOf(ruleView) },
      handler: async ({ query }) => {
        const { items, total } = await listRules(pool, offsetOf(query));
        return ok({ items: items.map(presentRule), total, page: query.page, page_size: query.page_size });
      },
    }),
    route({
      method: "post",
      path: "/api/admin/multipliers",
      summary: "Add a price multiplier",
      description: NOTE,
      tag: TAG,
      access: "operator",
      body: newRule,
      responses: { 201: ruleView },
      handler: async ({ body, principal, traceId }) =>
        created(presentRule(await admin.create(body, { userId: principal.userId, traceId }))),
    }),
    route({
      method: "get",
      path: "/api/admin/multipliers/:id",
      summary: "One price multiplier",
      tag: TAG,
      access: "operator",
      params: ruleParams,
      responses: { 200: ruleView },
      handler: async ({ params }) => {
        const rule = await findRule(pool, params.id);
        if (!rule || rule.status === "removed") throw noRule();
        return ok(presentRule(rule));
      },
    }),
    route({
      method: "patch",
      path: "/api/admin/multipliers/:id",
      summary: "Change a price multiplier",
      description: `Makes a new version; running calls keep theirs. ${NOTE}`,
      tag: TAG,
      access: "operator",
      params: ruleParams,
      body: ruleChange,
      responses: { 200: ruleView },
      errors: ["conflict"],
      handler: async ({ params, body, principal, traceId }) =>
        ok(presentRule(await admin.change(params.id, body, { userId: principal.userId, traceId }))),
    }),
    route({
      method: "delete",
      path: "/api/admin/multipliers/:id",
      summary: "Remove a price multiplier; its history stays",
      tag: TAG,
      access: "operator",
      params: ruleParams,
      responses: { 204: undefined },
      handler: async ({ params, principal, traceId }) => {
        await admin.remove(params.id, { userId: principal.userId, traceId });
        return { status: 204, data: undefined };
      },
    }),
    route({
      method: "get",
      path: "/api/admin/multipliers/:id/history",
      summary: "Every version of a price multiplier, the newest first",
      tag: TAG,
      access: "operator",
      params: ruleParams,
      query: rulesQuery,
      responses: { 200: pageOf(ruleView) },
      handler: async ({ params, query }) => {
        const { items, total } = await ruleHistory(pool, params.id, offsetOf(query));
        if (total === 0) throw noRule();
        return ok({ items: items.map(presentRule), total, page: query.page, page_size: query.page_size });
      },
    }),
  ];
}
