import { created, ok, route, type Route } from "../../http/route.ts";
import { pageOf } from "../../http/schemas.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import type { Routing } from "../routing/index.ts";
import { actorOf, COMMON, createAccess, offsetOf, type ProviderAccess } from "./access.ts";
import { createProviderAdmin } from "./admin.ts";
import type { Catalog, UpstreamTimeouts } from "./catalog.ts";
import { keyRoutes } from "./keyRoutes.ts";
import { modelRoutes } from "./modelRoutes.ts";
import { presetRoutes } from "./presetRoutes.ts";
import { listProviders } from "./repository.ts";
import * as schema from "./schema.ts";
import { stateRoutes } from "./stateRoutes.ts";

export interface ProviderRoutesDeps {
  pool: Pool;
  secretBox: SecretBox;
  catalog: Pick<Catalog, "drop">;
  routing: Pick<Routing, "health" | "reset">;
  /** UPSTREAM_PRIVATE_ADDRESSES */
  allowPrivate: boolean;
  timeouts: UpstreamTimeouts;
  /** Keys of the environment by preset. */
  presetKeys: Readonly<Record<string, string | undefined>>;
}

/** Operators' routes of providers and the models they serve. */
export function providerRoutes(deps: ProviderRoutesDeps): Route[] {
  const { pool, secretBox, allowPrivate, routing, timeouts } = deps;
  const admin = createProviderAdmin({ pool, secretBox, allowPrivate, changed: () => deps.catalog.drop() });
  const access = createAccess({ pool, secretBox, admin, routing, allowPrivate, timeouts });
  // Presets first: their path looks like a provider's.
  return [
    ...presetRoutes(access, deps.presetKeys),
    ...crudRoutes(access),
    ...keyRoutes(access),
    ...stateRoutes(access),
    ...modelRoutes(access),
  ];
}

function crudRoutes(access: ProviderAccess): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers",
      summary: "Providers in the order in which they are tried",
      query: schema.providersQuery,
      responses: { 200: pageOf(schema.providerView) },
      handler: async ({ query }) => {
        const { items, total } = await listProviders(access.pool, { q: query.q, status: query.status, ...offsetOf(query) });
        return ok({ items: items.map(access.present), total, page: query.page, page_size: query.page_size });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers",
      summary: "Add a provider",
      description:
        "Calls go to `<base_url without /v1>/v1/chat/completions`. The key and header values are stored encrypted and never shown.",
      body: schema.newProvider,
      responses: { 201: schema.providerView },
      handler: async (input) => created(access.present(await access.admin.create(input.body, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers/:id",
      summary: "One provider",
      params: schema.providerParams,
      responses: { 200: schema.providerView },
      handler: async ({ params }) => ok(access.present(await access.find(params.id))),
    }),
    route({
      ...COMMON,
      method: "patch",
      path: "/api/admin/providers/:id",
      summary: "Change a provider",
      description: "`timeouts`, `headers` and `config` replace what was there.",
      params: schema.providerParams,
      body: schema.providerChange,
      responses: { 200: schema.providerView },
      handler: async (input) => ok(access.present(await access.admin.change(input.params.id, input.body, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/providers/:id",
      summary: "Remove a provider with the models it serves",
      params: schema.providerParams,
      responses: { 204: undefined },
      handler: async (input) => {
        await access.admin.remove(input.params.id, actorOf(input));
        return { status: 204, data: undefined };
      },
    }),
  ];
}
