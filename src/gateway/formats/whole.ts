import type { Failure } from "../pipeline/failure.ts";
import { isObject, type Fields } from "./checks.ts";
import { malformed } from "./events.ts";
import { inBandFailure } from "./openai-chat/errors.ts";

/** A complete answer as an object, or the failure it is: no JSON, no object, or an error in place of an answer, as its vendor words those. */
export function readObject(
  body: Buffer,
  what: string,
  readInBand: (answer: Fields) => Failure = inBandFailure,
): { ok: true; fields: Fields } | { ok: false; failure: Failure } {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString("utf8"));
  } catch {
    return { ok: false, failure: malformed("The provider's answer is not JSON") };
  }
  if (!isObject(answer)) return { ok: false, failure: malformed(`The provider's answer is not ${what}`) };
  return answer["error"] ? { ok: false, failure: readInBand(answer) } : { ok: true, fields: answer };
}

/** The provider said something about usage that cannot be read. */
export const isUnreadable = (said: unknown, usage: unknown): boolean => usage === undefined && said !== undefined && said !== null;
