import type { Request, RequestHandler, Response } from "express";
import { uuidv7 } from "../platform/ids.ts";
import { served, serving, type Span, type Tracing } from "../platform/tracing/index.ts";
import { routeOf } from "./metrics.ts";

const SANE_ID = /^[A-Za-z0-9._:-]{1,128}$/;
/** Asked every few seconds by machines; a trace of them tells nobody anything. */
const UNTRACED: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"]);

/** A stream that somebody watches for hours says nothing that needs its request's id after so long. */
const LONG_MS = 60_000;

/** The caller's X-Request-ID when it is a sane one, else a new id. */
export function requestIdOf(header: string | undefined): string {
  return header !== undefined && SANE_ID.test(header) ? header : uuidv7();
}

/** The trace id given to this response by {@link requestTracer}. */
export function traceIdOf(res: Response): string {
  return (res.locals as { traceId?: string }).traceId ?? "";
}

/** What log lines far from the request say of it; nothing outside of one. The second id is that of its OpenTelemetry trace, if it has one. */
export function traceFields(): { trace_id?: string; otel_trace_id?: string } {
  const now = served();
  if (!now) return {};
  return now.span ? { trace_id: now.requestId, otel_trace_id: now.span.traceId } : { trace_id: now.requestId };
}

function beginSpan(tracing: Tracing, req: Request, requestId: string): Span | undefined {
  if (UNTRACED.has(req.path)) return undefined;
  return tracing.begin(req.method, {
    kind: "server",
    // An id that the caller chose is no trace id: it may be used again and again.
    id: requestId === req.get("x-request-id") ? uuidv7() : requestId,
    parent: req.get("traceparent"),
    facts: { "http.request.method": req.method, "url.path": req.path, "tollkeeper.request_id": requestId },
  });
}

function endSpan(span: Span, req: Request, res: Response): void {
  const route = routeOf(req);
  span.rename(`${req.method} ${route}`);
  span.set({ "http.route": route, "http.response.status_code": res.statusCode });
  if (res.statusCode >= 500) span.fail(String(res.statusCode));
  span.end();
}

/** Gives every request a trace id, answers it as X-Request-ID, and traces the request where there is tracing. */
export function requestTracer(tracing?: Tracing): RequestHandler {
  return (req, res, next) => {
    const requestId = requestIdOf(req.get("x-request-id"));
    (res.locals as { traceId?: string }).traceId = requestId;
    res.setHeader("X-Request-ID", requestId);
    const span = tracing && beginSpan(tracing, req, requestId);
    if (span) res.once("close", () => endSpan(span, req, res));
    serving({ requestId, span }, next, (left) => {
      const late = setTimeout(left, LONG_MS).unref();
      res.once("close", () => {
        clearTimeout(late);
        // Whoever else hears of the close may still want to know.
        setImmediate(left);
      });
    });
  };
}

/** {@link requestTracer} without tracing. */
export const traceRequests: RequestHandler = requestTracer();
