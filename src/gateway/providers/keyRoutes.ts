import { z } from "zod";
import { created, ok, route, type Route } from "../../http/route.ts";
import type { ProviderRow } from "./repository.ts";
import { actorOf, COMMON, type ProviderAccess } from "./access.ts";
import * as schema from "./schema.ts";

/** Operators' routes of the keys of a provider. */
export function keyRoutes(access: ProviderAccess): Route[] {
  const keysOf = (row: ProviderRow) => ({ items: access.present(row).keys });
  const keys = z.object({ items: z.array(schema.keyView) });
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers/:id/keys",
      summary: "The keys of a provider, masked",
      params: schema.providerParams,
      responses: { 200: keys },
      handler: async ({ params }) => ok(keysOf(await access.find(params.id))),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers/:id/keys",
      summary: "Add a key",
      description: "Calls use the keys of a provider in turn. One that is refused, spent or rate limited rests for a while.",
      params: schema.providerParams,
      body: schema.newKey,
      responses: { 201: keys },
      errors: ["conflict"],
      handler: async (input) => created(keysOf(await access.admin.addKey(input.params.id, input.body.api_key, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/providers/:id/keys/:key",
      summary: "Remove a key",
      params: schema.keyParams,
      responses: { 200: keys },
      errors: ["invalid_state"],
      handler: async (input) => ok(keysOf(await access.admin.removeKey(input.params.id, input.params.key, actorOf(input)))),
    }),
  ];
}
