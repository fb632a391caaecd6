import { created, ok, route, type Route } from "../../http/route.ts";
import { pageOf } from "../../http/schemas.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import { createProviderAdmin } from "./admin.ts";
import { openProvider, type Catalog, type UpstreamProvider, type UpstreamTimeouts } from "./catalog.ts";
import { presentProvider, presentProviderModel } from "./present.ts";
import { probeProvider } from "./probe.ts";
import { findProvider, listProviderModels, listProviders, type ProviderRow } from "./repository.ts";
import * as schema from "./schema.ts";

export interface ProviderRoutesDeps {
  pool: Pool;
  secretBox: SecretBox;
  catalog: Pick<Catalog, "drop">;
  /** UPSTREAM_PRIVATE_ADDRESSES */
  allowPrivate: boolean;
  timeouts: UpstreamTimeouts;
}

const COMMON = { tag: "Providers", access: "operator" } as const;
const offsetOf = (query: { page: number; page_size: number }) => ({ limit: query.page_size, offset: (query.page - 1) * query.page_size });
const actorOf = (input: { principal: { userId: string }; traceId: string }) => ({ userId: input.principal.userId, traceId: input.traceId });

/** Operators' routes of providers and the models they serve. */
export function providerRoutes(deps: ProviderRoutesDeps): Route[] {
  const { pool, secretBox, allowPrivate } = deps;
  const admin = createProviderAdmin({ pool, secretBox, allowPrivate, changed: () => deps.catalog.drop() });

  async function find(id: string): Promise<ProviderRow> {
    const row = await findProvider(pool, id);
    if (!row) throw appError("not_found", { message: "There is no such provider" });
    return row;
  }

  function open(row: ProviderRow): UpstreamProvider {
    try {
      return openProvider(row, deps);
    } catch (error) {
      throw appError("invalid_state", {
        message: "The key was encrypted with a secret that is not configured any more; set it again",
        cause: error,
      });
    }
  }

  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers",
      summary: "Providers in the order in which they are tried",
      query: schema.providersQuery,
      responses: { 200: pageOf(schema.providerView) },
      handler: async ({ query }) => {
        const { items, total } = await listProviders(pool, { q: query.q, status: query.status, ...offsetOf(query) });
        return ok({ items: items.map(presentProvider), total, page: query.page, page_size: query.page_size });
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
      handler: async (input) => created(presentProvider(await admin.create(input.body, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers/:id",
      summary: "One provider",
      params: schema.providerParams,
      responses: { 200: schema.providerView },
      handler: async ({ params }) => ok(presentProvider(await find(params.id))),
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
      handler: async (input) => ok(presentProvider(await admin.change(input.params.id, input.body, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/providers/:id",
      summary: "Remove a provider with the models it serves",
      params: schema.providerParams,
      responses: { 204: undefined },
      handler: async (input) => {
        await admin.remove(input.params.id, actorOf(input));
        return { status: 204, data: undefined };
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers/:id/test",
      summary: "Call the provider and say how it answered",
      description:
        "Lists its models, or with `model` (the name there) asks that model for a few tokens. A failure is an answer with `ok: false`.",
      params: schema.providerParams,
      body: schema.testRequest,
      responses: { 200: schema.testResult },
      errors: ["invalid_state"],
      handler: async ({ params, body }) => {
        const provider = open(await find(params.id));
        return ok(await probeProvider(provider, { model: body.model, allowPrivate }));
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers/:id/models",
      summary: "Models a provider serves",
      params: schema.providerParams,
      query: schema.providerModelsQuery,
      responses: { 200: pageOf(schema.providerModelView) },
      handler: async ({ params, query }) => {
        await find(params.id);
        const { items, total } = await listProviderModels(pool, params.id, offsetOf(query));
        return ok({ items: items.map(presentProviderModel), total, page: query.page, page_size: query.page_size });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers/:id/models",
      summary: "Add a model that a provider serves",
      description: "Prices here are what the provider costs us, per 1000 tokens; what callers pay is set at `/api/admin/models`.",
      params: schema.providerParams,
      body: schema.newProviderModel,
      responses: { 201: schema.providerModelView },
      errors: ["conflict"],
      handler: async (input) => created(presentProviderModel(await admin.addModel(input.params.id, input.body, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "patch",
      path: "/api/admin/providers/:id/models/:modelId",
      summary: "Change a model that a provider serves",
      params: schema.providerModelParams,
      body: schema.providerModelChange,
      responses: { 200: schema.providerModelView },
      handler: async (input) =>
        ok(presentProviderModel(await admin.changeModel(input.params.id, input.params.modelId, input.body, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/providers/:id/models/:modelId",
      summary: "Stop serving a model by a provider",
      params: schema.providerModelParams,
      responses: { 204: undefined },
      handler: async (input) => {
        await admin.removeModel(input.params.id, input.params.modelId, actorOf(input));
        return { status: 204, data: undefined };
      },
    }),
  ];
}
