import { created, ok, route, type Route } from "../http/route.ts";
import { pageOf } from "../http/schemas.ts";
import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { createModelAdmin } from "./admin.ts";
import { calculatorRoutes } from "./calculator/routes.ts";
import { priceListRoutes } from "./import/routes.ts";
import { multiplierRoutes } from "./multipliers/routes.ts";
import { presentModel, presentPriceRecord, presentPublicModel, presentPublicPrice } from "./present.ts";
import type { Pricing } from "./pricing.ts";
import { findModel, listModels, priceHistory, type ModelRecord } from "./repository.ts";
import {
  historyQuery,
  modelChange,
  modelParams,
  modelsQuery,
  modelView,
  newModel,
  priceView,
  publicModelsQuery,
  publicPriceView,
  publicModelView,
} from "./schema.ts";

const TAG = "Models and prices";
const PRICES_NOTE =
  "Prices in credits: per 1000 tokens for input, output, cached input, cache write and reasoning; per one for request, image, second, " +
  "character and web search. Cached input and cache write that are null cost what input costs, cache write for an hour what cache write " +
  "costs, reasoning what output costs. " +
  "A model without prices is refused; a price of 0 is free on purpose.";

const offsetOf = (query: { page: number; page_size: number }) => ({ limit: query.page_size, offset: (query.page - 1) * query.page_size });

function matches(model: ModelRecord, q: string): boolean {
  return [model.name, model.displayName ?? "", ...model.aliases].join(" ").toLowerCase().includes(q.toLowerCase());
}

/** Routes of models and prices: the public price list and the operators' side. */
export function pricingRoutes(deps: {
  pool: Pool;
  pricing: Pick<Pricing, "model" | "models" | "drop" | "versionAt" | "cost">;
  tierExists: (name: string) => Promise<boolean>;
}): Route[] {
  const { pool, pricing } = deps;
  const admin = createModelAdmin({ pool, changed: () => pricing.drop() });

  async function find(name: string): Promise<ModelRecord> {
    const model = await findModel(pool, name);
    if (!model) throw appError("not_found", { message: "There is no such model" });
    return model;
  }

  return [
    ...multiplierRoutes({ pool, tierExists: deps.tierExists, changed: () => pricing.drop() }),
    ...priceListRoutes({ pool, changed: () => pricing.drop() }),
    ...calculatorRoutes({ pricing, tierExists: deps.tierExists }),
    route({
      method: "get",
      path: "/api/models",
      summary: "Models that can be called, with their prices",
      description: PRICES_NOTE,
      tag: TAG,
      access: "none",
      query: publicModelsQuery,
      responses: { 200: pageOf(publicModelView) },
      handler: async ({ query }) => {
        const priced = (await pricing.models()).filter((model) => model.price && (!query.q || matches(model, query.q)));
        const { limit, offset } = offsetOf(query);
        const items = priced.slice(offset, offset + limit).map(presentPublicModel);
        return ok({ items, total: priced.length, page: query.page, page_size: query.page_size });
      },
    }),
    route({
      method: "get",
      path: "/api/models/*name/prices",
      summary: "How the prices of a model that can be called have changed, the newest first",
      description: `Each version holds for calls that began after it was made, until the next. ${PRICES_NOTE}`,
      tag: TAG,
      access: "none",
      params: modelParams,
      query: historyQuery,
      responses: { 200: pageOf(publicPriceView) },
      handler: async ({ params, query }) => {
        const model = await pricing.model(params.name);
        if (!model?.price) throw appError("not_found", { message: "There is no such model" });
        const { items, total } = await priceHistory(pool, model.name, offsetOf(query));
        return ok({ items: items.map(presentPublicPrice), total, page: query.page, page_size: query.page_size });
      },
    }),
    route({
      method: "get",
      path: "/api/admin/models",
      summary: "All models",
      tag: TAG,
      access: "operator",
      query: modelsQuery,
      responses: { 200: pageOf(modelView) },
      handler: async ({ query }) => {
        const { items, total } = await listModels(pool, { q: query.q, status: query.status, ...offsetOf(query) });
        return ok({ items: items.map(presentModel), total, page: query.page, page_size: query.page_size });
      },
    }),
    route({
      method: "post",
      path: "/api/admin/models",
      summary: "Add a model",
      description: PRICES_NOTE,
      tag: TAG,
      access: "operator",
      body: newModel,
      responses: { 201: modelView },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) =>
        created(presentModel(await admin.create(body, { userId: principal.userId, traceId }))),
    }),
    route({
      method: "get",
      path: "/api/admin/models/*name",
      summary: "One model",
      tag: TAG,
      access: "operator",
      params: modelParams,
      responses: { 200: modelView },
      handler: async ({ params }) => ok(presentModel(await find(params.name))),
    }),
    route({
      method: "patch",
      path: "/api/admin/models/*name",
      summary: "Change a model or its prices",
      description: `Prices that differ make a new version; other changes keep it. ${PRICES_NOTE}`,
      tag: TAG,
      access: "operator",
      params: modelParams,
      body: modelChange,
      responses: { 200: modelView },
      errors: ["conflict"],
      handler: async ({ params, body, principal, traceId }) =>
        ok(presentModel(await admin.change(params.name, body, { userId: principal.userId, traceId }))),
    }),
    route({
      method: "get",
      path: "/api/admin/prices/*name/history",
      summary: "Every version of a model's prices, the newest first",
      tag: TAG,
      access: "operator",
      params: modelParams,
      query: historyQuery,
      responses: { 200: pageOf(priceView) },
      handler: async ({ params, query }) => {
        const model = await find(params.name);
        const { items, total } = await priceHistory(pool, model.name, offsetOf(query));
        return ok({ items: items.map(presentPriceRecord), total, page: query.page, page_size: query.page_size });
      },
    }),
  ];
}
