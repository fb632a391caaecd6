import { z } from "zod";
import { created, ok, rawRoute, route, type Route } from "../../http/route.ts";
import { isoTime, line } from "../../http/schemas.ts";
import { traceIdOf } from "../../http/trace.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import type { Intake } from "../dify/intake.ts";
import type { Refusals } from "../dify/refusals.ts";
import { createSourceAdmin, type Credentials } from "./admin.ts";
import { createTakeReports, resultView, SOURCE_NAME } from "./intake.ts";
import { reportsBody } from "./report.ts";
import { listSources, type SourceRow } from "./repository.ts";

const COMMON = { tag: "Operators: usage", access: "operator" } as const;
const AT = "/api/admin/usage/sources";
const name = z.string().regex(SOURCE_NAME, "must be 2 to 32 lower-case letters, digits or -, a letter first");
const params = z.strictObject({ name });
const status = z.enum(["active", "disabled"]);

const view = z.object({ name, description: z.string().nullable(), status, url: z.string(), created_at: isoTime, updated_at: isoTime });
const secretView = view.extend({ api_key: z.string(), secret: z.string() }).meta({ description: "Key and secret are shown this once" });

const present = ({ name: of, description, status: now, created_at, updated_at }: SourceRow) => ({
  name: of,
  description,
  status: now,
  url: `/api/usage/sources/${of}/events`,
  created_at: created_at.toISOString(),
  updated_at: updated_at.toISOString(),
});
const withSecret = ({ source, credentials }: { source: SourceRow; credentials: Credentials }) => ({ ...present(source), ...credentials });

/** Platforms beside Dify that report usage: who they are, and what they report. */
export function sourceRoutes(deps: {
  pool: Pool;
  secretBox: SecretBox;
  intake: Pick<Intake, "take">;
  refusals: Pick<Refusals, "keep" | "note">;
}): Route[] {
  const admin = createSourceAdmin(deps);
  const take = createTakeReports(deps);
  return [
    route({
      ...COMMON,
      method: "get",
      path: AT,
      summary: "Platforms that report usage",
      responses: { 200: z.object({ items: z.array(view) }) },
      handler: async () => ok({ items: (await listSources(deps.pool)).map(present) }),
    }),
    route({
      ...COMMON,
      method: "post",
      path: AT,
      summary: "Let a platform report usage",
      body: z.strictObject({ name, description: line(200).nullable().default(null) }),
      responses: { 201: secretView },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) => created(withSecret(await admin.create({ userId: principal.userId, traceId }, body))),
    }),
    route({
      ...COMMON,
      method: "patch",
      path: `${AT}/:name`,
      summary: "Change a platform, or refuse what it reports",
      params,
      body: z
        .strictObject({ description: line(200).nullable().optional(), status: status.optional() })
        .refine((body) => Object.keys(body).length > 0, { path: ["status"], message: "send at least one field to change" }),
      responses: { 200: view },
      handler: async ({ params: { name: of }, body, principal, traceId }) =>
        ok(present(await admin.change({ userId: principal.userId, traceId }, of, body))),
    }),
    route({
      ...COMMON,
      method: "post",
      path: `${AT}/:name/rotate`,
      summary: "Give a platform a new key and secret",
      description: "The old ones are refused from now on.",
      params,
      body: z.strictObject({}),
      responses: { 201: secretView },
      handler: async ({ params: { name: of }, principal, traceId }) =>
        created(withSecret(await admin.rotate({ userId: principal.userId, traceId }, of))),
    }),
    rawRoute({
      method: "post",
      path: "/api/usage/sources/:name/events",
      summary: "Charge what a platform reports",
      description:
        "Up to 100 uses, each charged once by its id. Proven as Dify's webhook: `X-API-Key` (or a bearer token), `X-Timestamp` and " +
        "`X-Signature`. See docs/usage.md.",
      tag: "Usage",
      access: "none",
      consumes: "application/json",
      params,
      body: reportsBody,
      responses: { 200: z.object({ items: z.array(resultView) }) },
      errors: ["unauthenticated", "invalid_signature", "request_expired", "validation_failed", "payload_too_large"],
      async handler(req, res) {
        const items = await take(String(req.params["name"]), req, traceIdOf(res));
        res.status(200).set("cache-control", "no-store").json({ success: true, message: "OK", data: { items } });
      },
    }),
  ];
}
