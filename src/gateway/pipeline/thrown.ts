import { AppError } from "../../platform/errors.ts";
import { isConnectionError } from "../../platform/postgres.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { failure, type Failure } from "./failure.ts";
import { finish } from "./finish.ts";

/** What an exception on our side means for the caller. */
export function failureOf(error: unknown): Failure {
  if (error instanceof AppError) return failure(error.code, { message: error.message, retryAfter: error.retryAfter });
  if (error instanceof RangeError && error.message.includes("call stack")) {
    return failure("validation_failed", { message: "body: is nested too deeply", param: "body" });
  }
  if (isConnectionError(error) || /timeout/i.test((error as Error | undefined)?.message ?? "")) {
    return failure("unavailable", { message: "The database is not reachable right now", retryAfter: 2 });
  }
  return failure("internal_error", { class: "internal" });
}

/** Ends a call that met an exception on our side, whatever it was doing. */
export function thrown(deps: RelayDeps, call: Call, error: unknown): void {
  const why = failureOf(error);
  if (why.code === "internal_error") deps.log.error({ err: error, trace_id: call.traceId }, "a call failed on our side");
  finish(deps, call, { kind: "failed", failure: why });
}
