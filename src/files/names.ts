/** Names that people give, and what is made of them. Pure. */

const LONGEST = 255;
const LONGEST_IN_KEY = 120;
const LONGEST_EXTENSION = 16;

/** Why a name cannot be taken; undefined for one that can. Any script, any symbol; nothing that is a path or deceives the eye. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "must not be empty";
  if ([...name].length > LONGEST) return `must have at most ${LONGEST} characters`;
  if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(name)) return "must not contain control characters";
  if (/[\u202A-\u202E\u2066-\u2069]/u.test(name)) return "must not contain characters that change the direction of text";
  if (/[/\\]/.test(name)) return "must not contain / or \\";
  if (/^\.+$/.test(name)) return "must not be made of dots alone";
  return undefined;
}

/** A name as it is kept: composed (NFC), without white space around it. */
export const keptName = (name: string): string => name.normalize("NFC").trim();

/**
 * The last part of an object's key for a name: letters, digits, dots, dashes and underscores of any script, at most 120 bytes, the
 * extension kept.
 */
export function keyName(name: string): string {
  const clean = name
    .normalize("NFC")
    .replace(/[^\p{L}\p{M}\p{N}._-]+/gu, "_")
    .replace(/\.{2,}/g, ".")
    .replace(/^[._-]+/, "");
  if (clean === "") return "file";
  const dot = clean.lastIndexOf(".");
  const extension = dot > 0 ? clean.slice(dot) : "";
  if (bytes(extension) > LONGEST_EXTENSION) return cut(clean, LONGEST_IN_KEY);
  return cut(clean.slice(0, dot > 0 ? dot : undefined), LONGEST_IN_KEY - bytes(extension)) + extension;
}

const bytes = (text: string): number => Buffer.byteLength(text);

/** The longest beginning of whole characters that has at most so many bytes. */
function cut(text: string, most: number): string {
  let kept = "";
  let length = 0;
  for (const character of text) {
    length += bytes(character);
    if (length > most) break;
    kept += character;
  }
  return kept;
}

/** The header that gives a download its name: plain ASCII for old clients, then the name itself (RFC 6266, RFC 8187). */
export function contentDisposition(name: string, how: "attachment" | "inline"): string {
  const plain = name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^\x20-\x7e]|["\\%;/]/g, "_");
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `${how}; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
