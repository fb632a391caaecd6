import { z } from "zod";
import { ok, route, type Route } from "../http/route.ts";
import { uuid } from "../http/schemas.ts";
import type { PriceClasses } from "../identity/index.ts";
import { groupName } from "../pricing/index.ts";

const group = z.strictObject({ group: groupName.nullable().meta({ description: "What price multipliers may be for; null for none" }) });

/** Operators' routes for other people's keys. */
export function keyAdminRoutes(priceClasses: PriceClasses): Route[] {
  return [
    route({
      method: "put",
      path: "/api/admin/keys/:id/group",
      summary: "Put an API key in a group",
      tag: "Operators: users",
      access: "operator",
      params: z.strictObject({ id: uuid }),
      body: group,
      responses: { 200: z.object({ id: uuid, group: z.string().nullable() }) },
      handler: async ({ params, body, principal, traceId }) => {
        await priceClasses.setGroup({ userId: principal.userId, traceId }, params.id, body.group);
        return ok({ id: params.id, group: body.group });
      },
    }),
  ];
}
