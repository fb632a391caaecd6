import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { ErrorCode } from "../../platform/errors.ts";

/** Why a delivery is not who it says it is. */
export interface Distrust {
  reason: "key_missing" | "key_wrong" | "unsigned" | "forged" | "stale" | "future";
  code: ErrorCode;
  message: string;
}

/** What a delivery proves itself with, from its headers. */
export interface Credentials {
  /** `X-API-Key`, or the token of `Authorization: Bearer`. */
  apiKey: string | undefined;
  /** `X-Signature`: `sha256=` and 64 hex digits. */
  signature: string | undefined;
  /** `X-Timestamp`: unix seconds. */
  timestamp: string | undefined;
}

/** The checks of a delivery. Several keys and secrets are accepted, so that they can be rotated. Comparisons take constant time. */
export interface Verifier {
  /** Whether the sender knows a key: told without the body, so that a stranger's is not read. */
  checkKey(credentials: Credentials): Distrust | undefined;
  /** The signature: HMAC-SHA256 over the timestamp, a dot and the raw body. */
  checkSignature(credentials: Credentials, raw: Buffer): Distrust | undefined;
  /** Whether it was signed just now, so that a copy is of no use for long. */
  checkTime(credentials: Credentials, now: number): Distrust | undefined;
}

const WINDOW_S = 300;
const SIGNATURE = /^sha256=([0-9a-f]{64})$/i;

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Whether `given` is one of `accepted`; every one is compared, so that the time taken tells nothing. */
function isOneOf(given: Buffer, accepted: readonly Buffer[]): boolean {
  let found = false;
  for (const one of accepted) found = timingSafeEqual(given, one) || found;
  return found;
}

/** Creates the checks; without keys and secrets nothing passes. */
export function createVerifier(options: { apiKeys: readonly string[]; secrets: readonly string[]; windowS?: number }): Verifier {
  const { secrets, windowS = WINDOW_S } = options;
  const keys = options.apiKeys.map(digest);
  return {
    checkKey({ apiKey }) {
      if (apiKey === undefined || apiKey === "") {
        return { reason: "key_missing", code: "unauthenticated", message: "Send the webhook's key as X-API-Key or bearer token" };
      }
      if (isOneOf(digest(apiKey), keys)) return undefined;
      return { reason: "key_wrong", code: "unauthenticated", message: "The webhook's key is wrong" };
    },
    checkSignature({ signature, timestamp }, raw) {
      if (signature === undefined || timestamp === undefined) {
        return { reason: "unsigned", code: "invalid_signature", message: "Send X-Timestamp and X-Signature" };
      }
      const hex = SIGNATURE.exec(signature)?.[1];
      if (hex === undefined || !/^\d{1,12}$/.test(timestamp)) {
        const message = "X-Signature must be sha256= and 64 hex digits, X-Timestamp unix seconds";
        return { reason: "forged", code: "invalid_signature", message };
      }
      const expected = secrets.map((secret) => createHmac("sha256", secret).update(`${timestamp}.`).update(raw).digest());
      if (isOneOf(Buffer.from(hex, "hex"), expected)) return undefined;
      return { reason: "forged", code: "invalid_signature", message: "The signature does not fit the body and X-Timestamp" };
    },
    checkTime({ timestamp }, now) {
      const age = now / 1_000 - Number(timestamp);
      if (age > windowS) return { reason: "stale", code: "request_expired", message: `X-Timestamp is more than ${windowS} s ago` };
      if (age < -windowS) return { reason: "future", code: "request_expired", message: `X-Timestamp is more than ${windowS} s ahead` };
      return undefined;
    },
  };
}
