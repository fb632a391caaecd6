import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { isoTime, pageOf, pageQuery, reason } from "../../http/schemas.ts";
import type { Settings, SettingsView } from "./store.ts";

const COMMON = { tag: "Operators: settings", access: "operator" } as const;

const key = z.string().regex(/^[a-z]+(\.[a-z_]+)+$/, "must be the key of a setting such as checkin.rewards");
const json = z.unknown().meta({ description: "JSON of the form that the setting's schema says" });

const settingView = z.object({
  key: z.string(),
  description: z.string(),
  value: json,
  default: json,
  changed: z.boolean().meta({ description: "Whether an operator has set it" }),
  version: z.number().int().nullable().meta({ description: "The version that set it" }),
  updated_at: isoTime.nullable(),
  schema: z.record(z.string(), z.unknown()).meta({ description: "JSON Schema of its value" }),
});
const settingsView = z.object({ version: z.number().int(), items: z.array(settingView) });
const changeView = z.object({
  version: z.number().int(),
  key: z.string(),
  value: json.meta({ description: "null: the default" }),
  previous: json,
  author_id: z.string(),
  reason: z.string(),
  created_at: isoTime,
});

const changeBody = z.strictObject({
  version: z.number().int().min(0).meta({ description: "The version that was read; another one means that somebody else was faster" }),
  reason,
  settings: z
    .record(z.string().max(100), z.unknown())
    .refine((values) => Object.keys(values).length > 0, "must name at least one setting")
    .meta({ description: "New values by key; null takes one back to its default", examples: [{ "checkin.rewards": ["1", "2", "5"] }] }),
});

const present = ({ version, settings }: SettingsView) => ({
  version: Number(version),
  items: settings.map(({ setting, value, stored }) => ({
    key: setting.key,
    description: setting.description,
    value,
    default: setting.fallback,
    changed: stored !== undefined,
    version: stored ? Number(stored.version) : null,
    updated_at: stored?.updated_at.toISOString() ?? null,
    schema: z.toJSONSchema(setting.schema, { io: "input", unrepresentable: "any" }),
  })),
});

/** Operators' routes of the live settings. */
export function settingsRoutes(settings: Settings): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/settings",
      summary: "Live settings, each with its value, default and schema",
      responses: { 200: settingsView },
      handler: async () => ok(present(await settings.list())),
    }),
    route({
      ...COMMON,
      method: "patch",
      path: "/api/admin/settings",
      summary: "Change live settings",
      description: "All of them or none. In force on every copy within a second, without a restart.",
      body: changeBody,
      responses: { 200: settingsView },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) => {
        const request = { version: BigInt(body.version), reason: body.reason, values: body.settings };
        return ok(present(await settings.change({ userId: principal.userId, traceId }, request)));
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/settings/history",
      summary: "Who changed which setting when and why, newest first",
      query: z.strictObject({ ...pageQuery, key: key.optional() }),
      responses: { 200: pageOf(changeView) },
      handler: async ({ query }) => {
        const { items, total } = await settings.history(query);
        return ok({
          items: items.map((item) => ({ ...item, version: Number(item.version), created_at: item.created_at.toISOString() })),
          total,
          page: query.page,
          page_size: query.page_size,
        });
      },
    }),
  ];
}
