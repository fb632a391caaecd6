import { isLink, readDataUrl } from "./conversion/dataUrl.ts";

/** The base64 of what a field holds, a `data:` URL or base64 itself; undefined for a link and for anything else. */
export function inlineOf(value: unknown): string | undefined {
  if (typeof value !== "string" || isLink(value)) return undefined;
  return value.startsWith("data:") ? readDataUrl(value)?.data : value;
}
