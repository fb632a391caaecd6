import { createHash } from "node:crypto";

/**
 * The one key of a Dify message, whoever reports it: the relay that saw it end or Dify's webhook. A UUID (version 8, RFC 9562) from the
 * SHA-256 of `dify-message:<id>`; the table usage_messages keeps who was first to record it, so that it is charged once.
 */
export function difyMessageKey(messageId: string): string {
  const bytes = createHash("sha256").update(`dify-message:${messageId}`).digest();
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
