import { recordAudit } from "../../admin/audit.ts";
import { ok, route, type Route } from "../../http/route.ts";
import { actorOf, COMMON, type ProviderAccess } from "./access.ts";
import { probeProvider } from "./probe.ts";
import * as schema from "./schema.ts";

/** Operators' routes that look at a provider's state and put it in order. */
export function stateRoutes(access: ProviderAccess): Route[] {
  return [
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
        const { provider, key } = access.open(await access.find(params.id), body.key);
        return ok(await probeProvider(provider, { model: body.model, key, allowPrivate: access.allowPrivate }));
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers/:id/reset",
      summary: "Use a provider again at once",
      description: "Closes its circuits and ends the rests of its keys, on every copy of the api.",
      params: schema.providerParams,
      responses: { 200: schema.providerView },
      handler: async (input) => {
        const row = await access.find(input.params.id);
        const { userId, traceId } = actorOf(input);
        await recordAudit(access.pool, { actorId: userId, action: "provider.reset", target: `provider:${row.id}`, details: {}, traceId });
        access.routing.reset(row.id);
        return ok(access.present(row));
      },
    }),
  ];
}
