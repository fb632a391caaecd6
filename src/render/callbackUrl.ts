import { leadsToPrivate } from "../platform/addresses.ts";
import { fieldError } from "../platform/errors.ts";

/**
 * A task's callback URL as it is kept. Throws `validation_failed` unless it is https (or private addresses are allowed: then http too),
 * without credentials, and leads to no private address now; each connection is checked again.
 */
export async function callbackUrl(text: string, allowPrivate: boolean): Promise<string> {
  const refuse = (problem: string) => fieldError("callback_url", problem);
  if (/[\s\p{Cc}\\]/u.test(text)) throw refuse("must not contain spaces, control characters or backslashes");
  const scheme = allowPrivate ? /^https?:\/\//i : /^https:\/\//i;
  if (!scheme.test(text) || !URL.canParse(text)) throw refuse("must be a URL beginning with https://");
  const url = new URL(text);
  if (url.username || url.password) throw refuse("must not contain credentials");
  url.hash = "";
  if (!allowPrivate && (await leadsToPrivate(url.hostname))) throw refuse("must not lead to a private address");
  return url.href;
}
