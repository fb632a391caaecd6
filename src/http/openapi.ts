import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from "zod-openapi";
import { ERROR_CODES, type ErrorCode } from "../platform/errors.ts";
import { isOldPath } from "./compat/prefix.ts";
import { OLD_INVALID } from "./errorHandler.ts";
import type { Route } from "./route.ts";

const errorEnvelope = z
  .object({
    success: z.literal(false),
    message: z.string(),
    error: z.object({ code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]), details: z.unknown().optional() }),
    trace_id: z.string(),
  })
  .meta({ id: "Error" });

const oldErrorEnvelope = z.object({ detail: z.string(), ...errorEnvelope.shape }).meta({ id: "OldError" });

const envelope = (data: z.ZodType) => z.object({ success: z.literal(true), message: z.string(), data });

/** Codes that follow from how a route is declared, without its naming them. */
function impliedErrors(route: Route): ErrorCode[] {
  const codes: ErrorCode[] = ["unavailable"];
  if (route.body || route.query || route.params) codes.push("validation_failed");
  if (route.body) codes.push("payload_too_large");
  if (route.access !== "none") codes.push("unauthenticated");
  if (route.access === "operator" || route.access === "admin" || route.access === "session") codes.push("forbidden");
  if (route.access === "verified") codes.push("forbidden", "email_not_verified");
  if (route.params) codes.push("not_found");
  if (route.kind === "json" && route.idempotent) codes.push("idempotency_mismatch", "conflict");
  return codes;
}

function errorResponses(route: Route): Record<string, object> {
  const byStatus = new Map<number, Set<ErrorCode>>();
  const old = isOldPath(route.path);
  for (const code of [...impliedErrors(route), ...(route.errors ?? [])]) {
    const status = old && code === "validation_failed" ? OLD_INVALID : ERROR_CODES[code].status;
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      { description: [...codes].sort().join(", "), content: { "application/json": { schema: old ? oldErrorEnvelope : errorEnvelope } } },
    ]),
  );
}

function operation(route: Route): ZodOpenApiOperationObject {
  const produces = route.produces ?? "application/json";
  const consumes = route.kind === "raw" ? (route.consumes ?? "application/json") : "application/json";
  const csv = route.kind === "json" && route.csv ? { "text/csv": { schema: z.string() } } : {};
  const responses: Record<string, object> = {};
  for (const [status, schema] of Object.entries(route.responses)) {
    const enveloped = route.kind === "json" && !route.produces && !isOldPath(route.path);
    const body = schema && (enveloped ? envelope(schema) : schema);
    responses[status] = {
      description: Number(status) < 300 ? "Success" : "Answer",
      ...(body ? { content: { [produces]: { schema: body } } } : {}),
    };
  }
  const header: Record<string, z.ZodType> = {};
  if (route.kind === "json" && route.idempotent) {
    header["Idempotency-Key"] = z.string().max(255).optional().meta({ description: "The same key and body give the same answer" });
  }
  return {
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    tags: [route.tag],
    ...(route.alias ? { "x-alias": true } : {}),
    ...(route.body ? { requestBody: { required: true, content: { [consumes]: { schema: route.body }, ...csv } } } : {}),
    requestParams: {
      ...(route.params ? { path: route.params as z.ZodObject } : {}),
      ...(route.query ? { query: route.query as z.ZodObject } : {}),
      ...(Object.keys(header).length > 0 ? { header: z.object(header) } : {}),
    },
    security: route.access === "none" ? [] : [{ bearer: [] }],
    "x-access": route.access,
    responses: { ...responses, ...errorResponses(route) },
  } as ZodOpenApiOperationObject;
}

/** `/api/keys/:id` → `/api/keys/{id}`. */
export function openApiPath(path: string): string {
  return path.replace(/[:*](\w+)/g, "{$1}").replace(/[{]\/[{](\w+)[}][}]/g, "/{$1}");
}

/** The OpenAPI 3.1 document of all routes; what a route validates is what the document says. */
export function openApiDocument(routes: Route[], info: { version: string; url: string }): object {
  const paths: ZodOpenApiPathsObject = {};
  for (const definition of routes) {
    const path = openApiPath(definition.path);
    paths[path] = { ...paths[path], [definition.method]: operation(definition) };
  }
  return createDocument({
    openapi: "3.1.0",
    info: { title: "Tollkeeper", version: info.version, description: "Prepaid AI gateway with exact billing. Amounts are decimal text." },
    servers: [{ url: info.url }],
    tags: [...new Set(routes.map((definition) => definition.tag))].map((name) => ({ name })),
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "An access token, or an API key (`sk-tk-…`) where the route takes one" },
      },
    },
    paths,
  });
}
