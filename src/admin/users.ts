import { z } from "zod";
import { ROLES } from "../http/principal.ts";
import { created, ok, route, type Route } from "../http/route.ts";
import { creditsText, email, line, pageOf, pageQuery, reason, signedCreditsInput, uuid } from "../http/schemas.ts";
import { identitySchema, type UserAdmin } from "../identity/index.ts";
import { formatCredits, MICRO } from "../platform/credits.ts";

const TAG = "Operators: users";
const { futureTime, limitsOfAccounts: limits, locale, password, phone, userView, username } = identitySchema;
const params = z.strictObject({ id: uuid });
const role = z.enum(ROLES);
const status = z.enum(["active", "suspended", "closed"]);
const tier = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "must be the name of a tier");
const roles = z
  .array(role)
  .min(1)
  .max(ROLES.length)
  .refine((list) => new Set(list).size === list.length, "must not repeat a role");

const listQuery = z.strictObject({
  ...pageQuery,
  search: line(254)
    .optional()
    .meta({ description: "Part of an e-mail address, username, phone number or name, or the beginning of an id" }),
  status: status.optional(),
  role: role.optional(),
  tier: tier.optional(),
});
const createBody = z.strictObject({
  email,
  username: username.optional(),
  password: password.optional(),
  phone: phone.optional(),
  display_name: line(100).optional(),
  locale: locale.optional(),
  roles: roles.optional(),
  tier: tier.optional(),
  limits: limits.optional(),
});
const updateBody = z
  .strictObject({
    status: status.optional(),
    suspended_until: futureTime.nullable().optional(),
    roles: roles.optional(),
    tier: tier.optional(),
    limits: limits.nullable().optional().meta({ description: "Replaces the user's own limits, which override the tier's; null clears" }),
  })
  .refine((body) => Object.keys(body).length > 0, { path: ["status"], message: "send at least one field to change" });

/** One grant or deduction moves at most this much, so that no sum of them comes near what a balance can hold. */
const CREDIT_MAX = 1_000_000_000n * MICRO;
const creditBody = z.strictObject({
  amount: signedCreditsInput.refine(
    (micro) => micro !== 0n && micro <= CREDIT_MAX && micro >= -CREDIT_MAX,
    "must not be 0 nor beyond 1000000000",
  ),
  reason,
});

/** Operators' routes for people and their credit. */
export function userAdminRoutes(users: UserAdmin): Route[] {
  return [
    route({
      method: "get",
      path: "/api/admin/users",
      summary: "Search users",
      tag: TAG,
      access: "operator",
      query: listQuery,
      responses: { 200: pageOf(userView) },
      handler: async ({ query }) => {
        const { page, page_size, ...filter } = query;
        return ok({ ...(await users.list(filter, { page, page_size })), page, page_size });
      },
    }),
    route({
      method: "post",
      path: "/api/admin/users",
      summary: "Make a verified user",
      tag: TAG,
      access: "operator",
      body: createBody,
      responses: { 201: userView },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) => {
        const { display_name: displayName, ...rest } = body;
        return created(await users.create({ principal, traceId }, { ...rest, displayName }));
      },
    }),
    route({
      method: "get",
      path: "/api/admin/users/:id",
      summary: "One user",
      tag: TAG,
      access: "operator",
      params,
      responses: { 200: userView },
      handler: async ({ params }) => ok(await users.get(params.id)),
    }),
    route({
      method: "patch",
      path: "/api/admin/users/:id",
      summary: "Change status, roles, tier or limits",
      tag: TAG,
      access: "operator",
      params,
      body: updateBody,
      responses: { 200: userView },
      errors: ["conflict"],
      handler: async ({ params, body, principal, traceId }) => ok(await users.update({ principal, traceId }, params.id, body)),
    }),
    route({
      method: "post",
      path: "/api/admin/users/:id/credits",
      summary: "Add credit, or take it with a negative amount",
      tag: TAG,
      access: "operator",
      params,
      body: creditBody,
      idempotent: true,
      responses: { 201: z.object({ transfer_id: z.string(), balance: creditsText }) },
      errors: ["insufficient_balance"],
      handler: async ({ params, body, principal, traceId, idempotencyKey }) => {
        const { transferId, balance } = await users.credit({ principal, traceId }, params.id, { ...body, idempotencyKey });
        return created({ transfer_id: transferId, balance: formatCredits(balance) });
      },
    }),
  ];
}
