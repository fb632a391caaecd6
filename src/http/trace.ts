import { AsyncLocalStorage } from "node:async_hooks";
import type { Request, Response, NextFunction } from "express";
import { uuidv7 } from "../platform/ids.ts";

const SANE_ID = /^[A-Za-z0-9._:-]{1,128}$/;
const storage = new AsyncLocalStorage<string>();

/** The caller's X-Request-ID when it is a sane one, else a new id. */
export function requestIdOf(header: string | undefined): string {
  return header !== undefined && SANE_ID.test(header) ? header : uuidv7();
}

/** The trace id given to this response by {@link traceRequests}. */
export function traceIdOf(res: Response): string {
  return (res.locals as { traceId?: string }).traceId ?? "";
}

/** The trace id of the request being served, for log lines far from it. */
export function currentTraceId(): string | undefined {
  return storage.getStore();
}

/** Gives every request a trace id and answers it as X-Request-ID. */
export function traceRequests(req: Request, res: Response, next: NextFunction): void {
  const traceId = requestIdOf(req.get("x-request-id"));
  (res.locals as { traceId?: string }).traceId = traceId;
  res.setHeader("X-Request-ID", traceId);
  storage.run(traceId, next);
}
