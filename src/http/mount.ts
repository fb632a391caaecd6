import express, { type NextFunction, type Request, type RequestHandler, type Response } from "express";
import { AppError, appError } from "../platform/errors.ts";
import { isOldPath } from "./compat/prefix.ts";
import { checkIdempotencyKey, type Idempotency } from "./idempotency.ts";
import { isOperator, type Principal } from "./principal.ts";
import type { Access, Reply, Route, RouteInput } from "./route.ts";
import { sendStream } from "./stream.ts";
import type { Throttle } from "./throttle.ts";
import { traceIdOf } from "./trace.ts";
import { validateParts } from "./validate.ts";

/** Finds out who calls. Resolves undefined without credentials, throws `unauthenticated` for bad ones. */
export type Authenticate = (req: Request) => Promise<Principal | undefined>;

/** Throws unless `principal` may pass a route with this access. */
function checkAccess(access: Access, principal: Principal | undefined): void {
  if (access === "none") return;
  if (!principal) throw appError("unauthenticated");
  if (access === "user") return;
  // A key must not mint keys, move sessions or act for operators: those routes want a person's own sign-in.
  if (!principal.sessionId) throw appError("forbidden", { message: "Sign in with an access token to do this" });
  if (access === "verified" && !principal.emailVerified) throw appError("email_not_verified");
  if (access === "operator" && !isOperator(principal)) throw appError("forbidden");
  if (access === "admin" && !principal.roles.includes("admin")) throw appError("forbidden");
}

/** The envelope of `/api`; on the old client's paths the plain object. */
function send(res: Response, reply: Reply): void {
  for (const [name, value] of Object.entries(reply.headers ?? {})) res.setHeader(name, value);
  const status = reply.status ?? 200;
  if (status === 204) {
    res.status(204).end();
    return;
  }
  const message = reply.message ?? "OK";
  res.status(status).json(isOldPath(res.req.path) ? (reply.data ?? { message }) : { success: true, message, data: reply.data });
}

const CSV = "text/csv";

type JsonDefinition = Extract<Route, { kind: "json" }>;

interface MountDeps {
  authenticate: Authenticate;
  idempotency: Idempotency;
  /** Of routes under the envelope; what reads and answers in its own way has limits of its own. */
  throttle?: Throttle | undefined;
}

function jsonHandler(definition: JsonDefinition, deps: MountDeps): RequestHandler {
  const { access, handler } = definition;

  async function callerOf(req: Request): Promise<Principal | undefined> {
    const ip = req.ip ?? "";
    try {
      const principal = access === "none" ? undefined : await deps.authenticate(req);
      deps.throttle?.({ principal, ip });
      return principal;
    } catch (error) {
      // Guessing at tokens counts by address.
      if (error instanceof AppError && error.code === "unauthenticated") deps.throttle?.({ principal: undefined, ip });
      throw error;
    }
  }

  return async (req: Request, res: Response): Promise<void> => {
    const principal = await callerOf(req);
    checkAccess(access, principal);
    if (
      req.body !== undefined &&
      definition.body &&
      !req.is(definition.csv ? ["json", CSV] : ["json"]) &&
      Object.keys(req.headers).includes("content-type")
    ) {
      throw appError("unsupported_media_type");
    }
    const [params, query, body] = validateParts([
      { root: "path", schema: definition.params, value: req.params },
      { root: "query", schema: definition.query, value: req.query },
      { root: "body", schema: definition.body, value: req.body === undefined ? {} : req.body },
    ]);
    const key = req.get("idempotency-key");
    const input = {
      body,
      query,
      params,
      principal,
      traceId: traceIdOf(res),
      ip: req.ip ?? "",
      idempotencyKey: definition.idempotent ? key : undefined,
      req,
    } as RouteInput<unknown, unknown, unknown, Access>;
    const run = () => (handler as (input: unknown) => Promise<Reply>)(input);
    if (definition.idempotent && key !== undefined) {
      checkIdempotencyKey(key);
      const scope = `${principal?.userId ?? "anyone"} ${definition.method} ${req.path}`;
      send(res, await deps.idempotency.once({ scope, key, body: req.body ?? {} }, run));
      return;
    }
    const reply = await run();
    const { status = 200, headers = {}, stream } = reply;
    if (stream) await sendStream(req, res, { status, headers, stream });
    else send(res, reply);
  };
}

/** Mounts routes on a router, most specific paths first within a list, and answers 405 for known paths with another method. */
export function mountRoutes(routes: Route[], deps: MountDeps & { jsonLimit?: string }): express.Router {
  const router = express.Router({ caseSensitive: true });
  const json = express.json({ limit: deps.jsonLimit ?? "1mb", strict: false });
  const csv = express.text({ limit: deps.jsonLimit ?? "1mb", type: CSV });
  const ordered = [...routes].sort((a, b) => parameterCount(a.path) - parameterCount(b.path));
  for (const definition of ordered) {
    if (definition.kind === "json") {
      router[definition.method](definition.path, json, ...(definition.csv ? [csv] : []), jsonHandler(definition, deps));
    } else {
      const access = definition.access;
      const guard: RequestHandler = async (req: Request, _res: Response, next: NextFunction) => {
        if (access !== "none" && access !== "api_key") checkAccess(access, await deps.authenticate(req));
        next();
      };
      router[definition.method](definition.path, guard, ...(definition.before ?? []), definition.handler);
    }
  }
  for (const path of new Set(ordered.map((definition) => definition.path))) {
    router.all(path, (_req, res) => {
      const allowed = ordered.filter((definition) => definition.path === path).map((definition) => definition.method.toUpperCase());
      res.setHeader("Allow", allowed.join(", "));
      throw appError("method_not_allowed");
    });
  }
  return router;
}

function parameterCount(path: string): number {
  return (path.match(/[:*]/g) ?? []).length;
}
