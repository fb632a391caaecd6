import { created, ok, route, type Route } from "../../http/route.ts";
import { pageOf } from "../../http/schemas.ts";
import { actorOf, COMMON, offsetOf, type ProviderAccess } from "./access.ts";
import { compareModels } from "./discovery.ts";
import { presentProviderModel } from "./present.ts";
import { listUpstreamModels } from "./probe.ts";
import { allProviderModels, listProviderModels } from "./repository.ts";
import * as schema from "./schema.ts";

/** Operators' routes of the models that providers serve. */
export function modelRoutes(access: ProviderAccess): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers/:id/models",
      summary: "Models a provider serves",
      params: schema.providerParams,
      query: schema.providerModelsQuery,
      responses: { 200: pageOf(schema.providerModelView) },
      handler: async ({ params, query }) => {
        await access.find(params.id);
        const { items, total } = await listProviderModels(access.pool, params.id, offsetOf(query));
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
      handler: async (input) => created(presentProviderModel(await access.admin.addModel(input.params.id, input.body, actorOf(input)))),
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
        ok(presentProviderModel(await access.admin.changeModel(input.params.id, input.params.modelId, input.body, actorOf(input)))),
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/providers/:id/models/:modelId",
      summary: "Stop serving a model by a provider",
      params: schema.providerModelParams,
      responses: { 204: undefined },
      handler: async (input) => {
        await access.admin.removeModel(input.params.id, input.params.modelId, actorOf(input));
        return { status: 204, data: undefined };
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers/:id/discover",
      summary: "Compare the models a provider offers with those it serves here",
      description: "Asks the provider; changes nothing. A failure is an answer with `ok: false`.",
      params: schema.providerParams,
      body: schema.discoverRequest,
      responses: { 200: schema.discoverResult },
      errors: ["invalid_state"],
      handler: async ({ params, body }) => {
        const { provider, key } = access.open(await access.find(params.id), body.key);
        const asked = await listUpstreamModels(provider, { key, allowPrivate: access.allowPrivate });
        if (asked.error) return ok({ ok: false, models: [], error: asked.error });
        return ok({ ok: true, models: compareModels(asked.answer, await allProviderModels(access.pool, params.id)) });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers/:id/models/import",
      summary: "Add several of the models a provider offers",
      description:
        "Under their own names unless others are given; those served already are skipped. Callers can use them once they have a price at `/api/admin/models`.",
      params: schema.providerParams,
      body: schema.importRequest,
      responses: { 201: schema.importResult },
      handler: async (input) => {
        const { imported, skipped } = await access.admin.importModels(input.params.id, input.body.models, actorOf(input));
        return created({ imported: imported.map(presentProviderModel), skipped });
      },
    }),
  ];
}
