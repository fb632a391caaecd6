import { failure, type Failure } from "./failure.ts";

/** What became of a request's body: its value, or why it is refused. */
export type BodyResult = { ok: true; value: unknown } | { ok: false; failure: Failure };

/** A body that is refused. */
export const refuseBody = (
  code: "validation_failed" | "payload_too_large" | "unsupported_media_type",
  message: string,
  param: string | null = null,
): BodyResult => ({
  ok: false,
  failure: failure(code, { message, param }),
});

/** The refusal of what has more than `limit` bytes. */
export const tooLarge = (limit: number, what = "The request"): BodyResult =>
  refuseBody("payload_too_large", `${what} may have at most ${Math.floor(limit / 1024 / 1024)} MB`);
