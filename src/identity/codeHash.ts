import { hmacSha256, sha256 } from "../platform/secrets.ts";

/** Codes and links: how they are made and in what form they are kept. */

/** What is stored of a code: bound to its purpose and address, and worth nothing without HASH_SECRET. */
export function codeHash(secret: string, purpose: string, email: string, code: string): string {
  return hmacSha256(secret, `code ${purpose} ${email} ${code}`);
}

/** Six digits that only a holder of HASH_SECRET can make from this id; the same id gives the same code, so that a retry mails no other. */
export function codeFor(secret: string, id: string): string {
  const digest = Buffer.from(hmacSha256(secret, `digits ${id}`), "hex");
  return String(digest.readUIntBE(0, 6) % 1_000_000).padStart(6, "0");
}

/** The 64 hex digits of a mailed link, made like {@link codeFor}. */
export function linkTokenFor(secret: string, id: string): string {
  return hmacSha256(secret, `link ${id}`);
}

/** What is stored of a link's token. */
export function linkTokenHash(token: string): string {
  return sha256(token);
}
