import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express, { type RequestHandler, type Router } from "express";
import helmet from "helmet";
import { appError } from "../platform/errors.ts";
import type { Logger } from "../platform/logger.ts";
import type { Tracing } from "../platform/tracing/index.ts";
import { allowOrigins } from "./cors.ts";
import { docsRouter } from "./docs.ts";
import { errorHandler } from "./errorHandler.ts";
import type { Idempotency } from "./idempotency.ts";
import { mountRoutes, type Authenticate } from "./mount.ts";
import { openApiDocument } from "./openapi.ts";
import type { Route } from "./route.ts";
import type { Throttle } from "./throttle.ts";
import { requestTracer } from "./trace.ts";

export interface AppParts {
  log: Logger;
  /** Routes under the envelope conventions, from every domain. */
  routes: Route[];
  /** Routes served elsewhere (the relay), for the document only. */
  documented: Route[];
  /** The relay, asked first: nothing that it does not need runs before it. False leaves the request to the routes here. */
  relay: (req: IncomingMessage, res: ServerResponse) => boolean;
  /** Counts every other request. */
  count?: RequestHandler;
  tracing?: Tracing | undefined;
  /** Pages for operators. */
  pages: { path: string; router: Router }[];
  authenticate: Authenticate;
  idempotency: Idempotency;
  throttle?: Throttle | undefined;
  trustProxy: number;
  corsOrigins: string[];
  publicUrl: string;
  version: string;
}

/** Assembles the Express application. The order matters: relay, trace id, security headers, routes, 404, errors. */
export function createApp(parts: AppParts): RequestListener {
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  app.set("trust proxy", parts.trustProxy);
  // Flat parameters only: `a[b]=1` stays one odd name and is refused as unknown.
  app.set("query parser", "simple");
  // Browsers may call the relay too; without listed origins its path stays as short as it can be.
  const direct = parts.corsOrigins.length === 0;
  if (!direct) {
    app.use(allowOrigins(parts.corsOrigins));
    app.use((req, res, next) => {
      if (!parts.relay(req, res)) next();
    });
  }
  if (parts.count) app.use(parts.count);
  app.use(requestTracer(parts.tracing));
  const overHttps = parts.publicUrl.startsWith("https:");
  app.use(
    helmet({
      strictTransportSecurity: overHttps,
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: overHttps ? [] : null } },
    }),
  );
  app.use(docsRouter(openApiDocument([...parts.routes, ...parts.documented], { version: parts.version, url: parts.publicUrl })));
  for (const page of parts.pages) app.use(page.path, page.router);
  app.use(mountRoutes(parts.routes, { authenticate: parts.authenticate, idempotency: parts.idempotency, throttle: parts.throttle }));
  app.use((_req, _res) => {
    throw appError("not_found", { message: "There is no such route" });
  });
  app.use(errorHandler(parts.log));
  return direct ? (req, res) => void (parts.relay(req, res) || app(req, res)) : app;
}
