import { createHash } from "node:crypto";

/** S3 writes checksums in base64, people in hexadecimal. */

export const toBase64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");

/** Undefined for anything but the sha256 of the bytes themselves. */
export function toHex(base64: string | undefined): string | undefined {
  if (!base64 || !/^[A-Za-z0-9+/]{43}=$/.test(base64)) return undefined;
  return Buffer.from(base64, "base64").toString("hex");
}

/**
 * Whether S3's checksum of an object is that of bytes with this sha256 (hexadecimal); undefined when it does not tell. An object made of one
 * part has the checksum of that part's checksum with "-1" behind it; several parts ("-3") say nothing about the whole.
 */
export function isSum(checksum: string | undefined, sha256: string): boolean | undefined {
  const whole = toHex(checksum);
  if (whole !== undefined) return whole === sha256;
  if (!checksum?.endsWith("-1")) return undefined;
  return checksum === `${createHash("sha256").update(Buffer.from(sha256, "hex")).digest("base64")}-1`;
}
