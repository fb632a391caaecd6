import { ok, route, type Route } from "../http/route.ts";
import { pageOf } from "../http/schemas.ts";
import { eventView, operatorQuery, OWN_KINDS, ownQuery, userParams } from "./schema.ts";
import type { History } from "./store/history.ts";
import type { KeptEvent } from "./store/repository.ts";

const view = ({ id, at, kind, request_id, ip, times, facts }: KeptEvent) => ({
  id,
  at: at.toISOString(),
  kind,
  request_id,
  ip,
  times,
  details: facts,
});

/** What an operator did to an account is its owner's to know; who it was and what else was said of it is not. */
function ownView(event: KeptEvent) {
  if (event.kind !== "operator.acted") return view(event);
  return { ...view(event), ip: null, details: { action: event.facts["action"] } };
}

/** The activity of people: all of it for operators, what concerns the safety of their account for themselves. */
export function activityRoutes(history: History): Route[] {
  return [
    route({
      method: "get",
      path: "/api/admin/users/:id/activity",
      summary: "Recent activity of a user, newest first",
      description:
        "Sign-ins that failed too, keys, top-ups, calls and refusals, what operators did to the account, and what the user did as an operator. " +
        "The same on every copy. Totals are exact up to 10,000 events and 10,000 calls.",
      tag: "Operators: users",
      access: "operator",
      params: userParams,
      query: operatorQuery,
      responses: { 200: pageOf(eventView) },
      handler: async ({ params, query }) => {
        const { kind, failed, from, to, ...page } = query;
        const { items, total } = await history({ userId: params.id, kinds: kind, failed: failed === "true", from, to }, page);
        return ok({ items: items.map(view), total, ...page });
      },
    }),
    route({
      method: "get",
      path: "/api/user/activity",
      summary: "What happened to my account, newest first",
      description: "Sign-ins, sessions, keys, top-ups, rewards and what operators changed. Calls are under /api/user/usage.",
      tag: "Account",
      access: "session",
      query: ownQuery,
      responses: { 200: pageOf(eventView) },
      handler: async ({ query, principal }) => {
        const { kind, failed, from, to, ...page } = query;
        const filter = { userId: principal.userId, own: true, kinds: kind ?? OWN_KINDS, failed: failed === "true", from, to };
        const { items, total } = await history(filter, page);
        return ok({ items: items.map(ownView), total, ...page });
      },
    }),
  ];
}
