import { parsePhoneNumberFromString } from "libphonenumber-js";
import { randomText } from "../platform/ids.ts";

/** Letters, digits, `_` and `-`. Text that could be a phone number is refused: one field takes all three kinds of name. */
export function usernameProblem(name: string): string | undefined {
  if (!/^[A-Za-z0-9_-]{3,32}$/.test(name)) return "must be 3 to 32 letters, digits, _ or -";
  if (/^[-_0-9]+$/.test(name)) return "must contain a letter";
  return undefined;
}

/** E.164 text for a phone number in international form, undefined for anything else. */
export function e164(text: string): string | undefined {
  if (!/^\+[0-9 ().-]{6,24}$/.test(text)) return undefined;
  const phone = parsePhoneNumberFromString(text);
  return phone?.isValid() ? phone.number : undefined;
}

/** A username made from an e-mail address; `attempt` 0 is the plain one, later ones get a random tail. */
export function suggestUsername(email: string, attempt: number): string {
  const local = (email.split("@")[0] ?? "").replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^[-_]+|[-_]+$/g, "");
  const base = usernameProblem(local.slice(0, 24)) === undefined ? local.slice(0, 24) : `user-${local.slice(0, 16)}`.replace(/-+$/, "");
  return attempt === 0 && usernameProblem(base) === undefined ? base : `${base}-${randomText(6, "abcdefghijkmnpqrstuvwxyz23456789")}`;
}

/** What somebody typed to say who they are: an e-mail address, a phone number or a username, in the form it is stored in. */
export function readIdentifier(text: string): { column: "email" | "phone" | "username"; value: string } {
  const trimmed = text.trim();
  if (trimmed.includes("@")) return { column: "email", value: trimmed.toLowerCase() };
  const phone = e164(trimmed);
  return phone ? { column: "phone", value: phone } : { column: "username", value: trimmed.toLowerCase() };
}
