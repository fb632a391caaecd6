import { AppError } from "../../../src/platform/errors.ts";

export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError;
}

/** The code an action was refused with: an AppError's, or Postgres's own. */
export async function refusal(action: Promise<unknown>): Promise<string | undefined> {
  return action.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  );
}
