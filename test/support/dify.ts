import { randomUUID } from "node:crypto";
import { hmacSha256 } from "../../src/platform/secrets.ts";

/** What Dify's side sends: a signed `message_end`, or anything else. */

export const WEBHOOK_KEY = "test-webhook-key-0001";
export const WEBHOOK_SECRET = "test-webhook-secret-0001";

export interface MessageEnd {
  event: string;
  data: Record<string, unknown>;
  request_id: unknown;
}

/** A message of 1500 tokens in and 800 out. */
export function messageEnd(data: Record<string, unknown> = {}, rest: Partial<MessageEnd> = {}): MessageEnd {
  return {
    event: "message_end",
    data: {
      conversation_id: `conv_${randomUUID()}`,
      message_id: `msg_${randomUUID()}`,
      user_id: "user_unknown",
      model_name: "gpt-4",
      input_tokens: 1_500,
      output_tokens: 800,
      total_tokens: 2_300,
      timestamp: new Date().toISOString(),
      ...data,
    },
    request_id: `req_${randomUUID()}`,
    ...rest,
  };
}

export interface Signing {
  key?: string | null;
  secret?: string;
  /** Unix seconds; now unless told. */
  timestamp?: number | string | null;
  signature?: string | null;
  /** As `Authorization: Bearer` instead of `X-API-Key`. */
  bearer?: boolean;
}

/** The headers of a delivery of `raw`. */
export function signed(raw: string | Buffer, signing: Signing = {}): Record<string, string> {
  const { key = WEBHOOK_KEY, secret = WEBHOOK_SECRET, timestamp = Math.floor(Date.now() / 1_000), bearer = false } = signing;
  const signature =
    signing.signature === undefined
      ? `sha256=${hmacSha256(secret, Buffer.concat([Buffer.from(`${timestamp}.`), Buffer.from(raw)]))}`
      : signing.signature;
  return {
    "content-type": "application/json",
    ...(key === null ? {} : bearer ? { authorization: `Bearer ${key}` } : { "x-api-key": key }),
    ...(timestamp === null ? {} : { "x-timestamp": String(timestamp) }),
    ...(signature === null ? {} : { "x-signature": signature }),
  };
}
