import { created, ok, route, type Route } from "../../http/route.ts";
import { pageOf } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { Subscription, Subscriptions } from "../subscriptions.ts";
import { createPlanAdmin } from "./admin.ts";
import { listPeriods } from "./periods.ts";
import { findPlan, listPlans, listVersions } from "./repository.ts";
import * as schema from "./schema.ts";

const COMMON = { tag: "Plans and quotas", access: "operator" } as const;
const NOTE =
  "Every change is a new version. `change_takes_effect` of the newest says when it counts for those who are subscribed: `now`, with quotas " +
  "and allowance by the shares of the period, rounded in the subscriber's favour, or from the `next_period`.";

const offsetOf = (query: { page: number; page_size: number }) => ({ limit: query.page_size, offset: (query.page - 1) * query.page_size });
const iso = (ms: number): string => new Date(ms).toISOString();

/** A subscription as answers show it. */
export const presentSubscription = ({ terms, period, version, next }: Subscription) => ({
  plan: terms.plan,
  reset_day: terms.resetDay,
  time_zone: terms.timeZone,
  period: { starts_at: iso(period.fromMs), ends_at: iso(period.untilMs) },
  next: next ? { plan: next.plan, reset_day: next.resetDay, time_zone: next.timeZone, from: iso(next.fromMs) } : null,
  limits: version.limits,
  allowance: formatCredits(version.allowance),
});

/** Operators' routes of plans and of who has which. Each change is audited and announced in its own transaction. */
export function planRoutes({ pool, subscriptions }: { pool: Pool; subscriptions: Subscriptions }): Route[] {
  const admin = createPlanAdmin({ pool });
  const noPlan = () => appError("not_found", { message: "There is no such plan" });

  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/plans",
      summary: "Plans as they are now",
      query: schema.listQuery,
      responses: { 200: schema.planPage },
      handler: async ({ query }) => {
        const { items, total } = await listPlans(pool, offsetOf(query));
        return ok({ items: items.map(schema.presentPlan), total, ...query });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/plans",
      summary: "Add a plan",
      description: NOTE,
      body: schema.newPlan,
      responses: { 201: schema.planView },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) =>
        created(schema.presentPlan(await admin.create(body, { userId: principal.userId, traceId }))),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/plans/:name",
      summary: "One plan",
      params: schema.planParams,
      responses: { 200: schema.planView },
      handler: async ({ params }) => {
        const plan = await findPlan(pool, params.name);
        if (!plan) throw noPlan();
        return ok(schema.presentPlan(plan));
      },
    }),
    route({
      ...COMMON,
      method: "patch",
      path: "/api/admin/plans/:name",
      summary: "Change a plan",
      description: NOTE,
      params: schema.planParams,
      body: schema.planChange,
      responses: { 200: schema.planView },
      handler: async ({ params, body, principal, traceId }) =>
        ok(schema.presentPlan(await admin.change(params.name, body, { userId: principal.userId, traceId }))),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/plans/:name/versions",
      summary: "All versions of a plan, newest first",
      params: schema.planParams,
      query: schema.listQuery,
      responses: { 200: pageOf(schema.planView) },
      handler: async ({ params, query }) => {
        const { items, total } = await listVersions(pool, params.name, offsetOf(query));
        if (total === 0) throw noPlan();
        return ok({ items: items.map(schema.presentPlan), total, ...query });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/users/:id/plan",
      summary: "What a user is subscribed to",
      params: schema.userParams,
      responses: { 200: schema.subscriptionView },
      handler: async ({ params }) => ok(presentSubscription(await subscriptions.of(params.id))),
    }),
    route({
      ...COMMON,
      method: "put",
      path: "/api/admin/users/:id/plan",
      summary: "Subscribe a user to a plan",
      description:
        "From now on or from the next period, as the plan says unless told. A change that counts now grants the difference of the allowances " +
        "for the rest of the period and never takes credit back. Another reset day or time zone (those of a new " +
        "plan, unless told) counts from the next period. A quota of the " +
        "user's own is among the limits at `PATCH /api/admin/users/{id}`.",
      params: schema.userParams,
      body: schema.subscribeBody,
      responses: { 200: schema.subscriptionView },
      handler: async ({ params, body, principal, traceId }) => {
        const { plan, reset_day: resetDay, time_zone: timeZone, takes_effect: takesEffect, reason = null } = body;
        const to = { plan, resetDay, timeZone, takesEffect, reason };
        return ok(presentSubscription(await subscriptions.subscribe(params.id, to, { userId: principal.userId, traceId })));
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/users/:id/periods",
      summary: "A user's periods, newest first",
      params: schema.userParams,
      query: schema.listQuery,
      responses: { 200: schema.periodPage },
      handler: async ({ params, query }) => ok({ ...(await listPeriods(pool, params.id, offsetOf(query))), ...query }),
    }),
  ];
}
