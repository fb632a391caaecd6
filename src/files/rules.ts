import { createHash } from "node:crypto";
import { appError, fieldError } from "../platform/errors.ts";
import type { FileSettings, UploadKind } from "./types.ts";

/** What an upload says it will be. */
export interface Declared {
  name: string;
  size: number;
  contentType: string;
  kind: UploadKind;
  /** Hexadecimal. */
  sha256?: string | undefined;
}

const EMPTY_SHA256 = createHash("sha256").digest("hex");

/** Throws when a file like this is not taken: too large, of a type its kind does not have, or impossible. */
export function checkDeclared(declared: Declared, settings: FileSettings): void {
  const { kind, size, contentType, sha256 } = declared;
  const max = settings.maxSize[kind];
  if (size > max) throw appError("payload_too_large", { message: `A file of this kind may have at most ${max} bytes`, details: { max } });
  const allowed = settings.types[kind];
  if (!allowed.some((type) => isOfType(contentType, type))) {
    throw appError("unsupported_media_type", { message: `A file of this kind may not be ${contentType}`, details: { allowed } });
  }
  if (size === 0 && sha256 !== undefined && sha256 !== EMPTY_SHA256) throw fieldError("sha256", "is not that of zero bytes");
}

/** `pattern` is a type, or all of a sort such as `image/*`. */
function isOfType(type: string, pattern: string): boolean {
  return pattern.endsWith("/*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

const BEGINNINGS: Record<string, (head: Buffer) => boolean> = {
  "image/png": (head) => head.subarray(0, 8).equals(Buffer.from("89504e470d0a1a0a", "hex")),
  "image/jpeg": (head) => head.subarray(0, 3).equals(Buffer.from("ffd8ff", "hex")),
  "image/gif": (head) => /^GIF8[79]a/.test(head.toString("latin1")),
  "image/webp": (head) => /^RIFF.{4}WEBP/s.test(head.toString("latin1")),
};

/** Bytes that {@link beginsAs} looks at. */
export const BEGINNING_BYTES = 16;

/** False when the first bytes of a picture are not those of its type; true for types that are not looked at. */
export function beginsAs(contentType: string, head: Buffer): boolean {
  return BEGINNINGS[contentType]?.(head) ?? true;
}

/** Types that a browser may show by itself; everything else is saved. None of them can run a script. */
export const SHOWN_TYPES: ReadonlySet<string> = new Set([...Object.keys(BEGINNINGS), "text/plain", "video/mp4", "video/webm"]);
