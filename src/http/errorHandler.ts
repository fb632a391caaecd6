import type { ErrorRequestHandler, Request, Response } from "express";
import { AppError, appError, ERROR_CODES } from "../platform/errors.ts";
import type { Logger } from "../platform/logger.ts";
import { isConnectionError, isStatementTimeout } from "../platform/postgres.ts";
import { isTemporalUnavailable } from "../platform/temporal.ts";
import { isOldPath } from "./compat/prefix.ts";
import { endUnread, isUnread } from "./linger.ts";
import { traceIdOf } from "./trace.ts";

/** What the old client's server answered for a wrong field. */
export const OLD_INVALID = 422;

interface BodyParserError {
  type?: string;
  status?: number;
  statusCode?: number;
}

/** Turns whatever was thrown into an {@link AppError}: known errors stay, parser errors become 4xx, lost parts 503, the rest 500. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const parser = error as BodyParserError;
  switch (parser?.type) {
    case "entity.too.large":
      return appError("payload_too_large", { cause: error });
    case "entity.parse.failed":
      return appError("validation_failed", {
        message: "body: is not valid JSON",
        details: [{ field: "body", message: "is not valid JSON" }],
        cause: error,
      });
    case "encoding.unsupported":
    case "charset.unsupported":
      return appError("unsupported_media_type", { message: "This encoding is not supported", cause: error });
    case "request.aborted":
    case "request.size.invalid":
    case "entity.verify.failed":
    case "parameters.too.many":
      return appError("validation_failed", {
        message: "body: could not be read",
        details: [{ field: "body", message: "could not be read" }],
        cause: error,
      });
  }
  if (error instanceof URIError || parser?.status === 400 || parser?.statusCode === 400) {
    const field = error instanceof URIError ? "path" : "body";
    return appError("validation_failed", {
      message: `${field}: could not be read`,
      details: [{ field, message: "could not be read" }],
      cause: error,
    });
  }
  const name = (error as { name?: string })?.name ?? "";
  if (isConnectionError(error) || name.startsWith("SequelizeConnection") || isConnectionError((error as { parent?: unknown })?.parent)) {
    return appError("unavailable", { message: "The database is not reachable right now", retryAfter: 2, cause: error });
  }
  if (isStatementTimeout(error)) return appError("unavailable", { message: "This takes too long; ask for a shorter range", cause: error });
  if (isTemporalUnavailable(error)) {
    return appError("unavailable", { message: "The workflow engine is not reachable right now", retryAfter: 5, cause: error });
  }
  return appError("internal_error", { cause: error });
}

/** The error envelope of `/api`. The old client reads `detail`, and knows a wrong field by 422. */
export function errorBody(error: AppError, traceId: string, { old = false } = {}): object {
  return {
    ...(old ? { detail: error.message } : {}),
    success: false,
    message: error.message,
    error: { code: error.code, ...(error.details === undefined ? {} : { details: error.details }) },
    trace_id: traceId,
  };
}

/** Writes an error, which a client that is still sending can read too; cuts an answer short that has already begun. */
export function sendError(res: Response, error: AppError): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  if (error.retryAfter !== undefined) res.setHeader("retry-after", String(Math.max(1, Math.ceil(error.retryAfter))));
  const old = isOldPath(res.req.path);
  const body = errorBody(error, traceIdOf(res), { old });
  res.status(old && error.code === "validation_failed" ? OLD_INVALID : error.status);
  // A connection that is kept is read on anyway; one that is not, as of a proxy that speaks HTTP/1.0, would be closed at once.
  if (res.shouldKeepAlive || !isUnread(res.req)) return void res.json(body);
  const bytes = Buffer.from(JSON.stringify(body));
  res.set({ connection: "close", "content-type": "application/json; charset=utf-8", "content-length": String(bytes.length) });
  endUnread(res, bytes);
}

/** The last middleware: maps, logs (loudly what is our fault), answers. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  return (thrown: unknown, req: Request, res: Response, _next): void => {
    const error = toAppError(thrown);
    const about = { trace_id: traceIdOf(res), method: req.method, path: req.path, status: error.status, error_code: error.code };
    if (error.status >= 500) log.error({ ...about, err: error.cause ?? error }, ERROR_CODES[error.code].message);
    else log.info(about, "refused");
    sendError(res, error);
  };
}
