import { createHash } from "node:crypto";

/**
 * The one key of a Dify message, whoever reports it: the relay that saw it end or Dify's webhook. A UUID (version 8, RFC 9562) from the
 * SHA-256 of `dify-message:<id>`. For a workflow run without a message it is made from the run's id.
 */
export function difyMessageKey(messageId: string): string {
  const bytes = createHash("sha256").update(`dify-message:${messageId}`).digest();
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** What an end user of Dify is called: `tk_`, the account's id and, for an end user of the account, a short hash. */
const DIFY_USER = /^tk_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_[0-9a-f]{20})?$/;

/**
 * The `user` that Dify is told, stable for an account and, within it, for each end user: Dify shows conversations, messages and files only
 * to the user they were made for. `endUser` names one within the account; it does not leave this process in clear.
 */
export function difyUser(userId: string, endUser: string | undefined): string {
  return endUser === undefined ? `tk_${userId}` : `tk_${userId}_${createHash("sha256").update(endUser).digest("hex").slice(0, 20)}`;
}

/** The account that a `user` of {@link difyUser} stands for; undefined for any other text. */
export const accountOfDifyUser = (user: string): string | undefined => DIFY_USER.exec(user)?.[1];
