import { z } from "zod";
import { created, ok, route, type Route } from "../../http/route.ts";
import { fieldError } from "../../platform/errors.ts";
import { actorOf, COMMON, type ProviderAccess } from "./access.ts";
import { PRESETS } from "./presets.ts";
import * as schema from "./schema.ts";

/** Operators' routes of providers that are known beforehand. `keys` are those of the environment. */
export function presetRoutes(access: ProviderAccess, keys: Readonly<Record<string, string | undefined>>): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/providers/presets",
      summary: "Providers that can be added by name",
      responses: { 200: z.object({ items: z.array(schema.presetView) }) },
      handler: async () =>
        ok({
          items: PRESETS.map(({ preset, provider, models }) => ({
            preset,
            ...provider,
            config: provider.config ?? {},
            models,
            key_in_environment: keys[preset] !== undefined,
          })),
        }),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/providers/from-preset",
      summary: "Add a provider by name, with its usual models",
      description: "Callers can use the models once they have a price at `/api/admin/models`.",
      body: schema.fromPreset,
      responses: { 201: schema.providerView },
      handler: async (input) => {
        const found = PRESETS.find(({ preset }) => preset === input.body.preset);
        if (!found) throw fieldError("preset", `must be one of ${PRESETS.map(({ preset }) => preset).join(", ")}`);
        const api_key = input.body.api_key ?? keys[found.preset];
        if (api_key === undefined) throw fieldError("api_key", "is required: the environment has no key for this preset");
        const models = found.models.map((model_name) => ({ model_name }));
        return created(access.present(await access.admin.create({ ...found.provider, api_key }, actorOf(input), models)));
      },
    }),
  ];
}
